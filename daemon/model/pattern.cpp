#include "model/pattern.hpp"

#include <re2/re2.h>

#include <cstdint>

namespace restream {

namespace {

const std::string nothing;

// Of one pattern, with all that matching adds. A plugin brings up to 64 of them, and each stays in the daemon's memory;
// RE2 would let each have four times as much.
constexpr std::int64_t most_memory = 2U << 20U;

std::shared_ptr<const RE2> compiled(const std::string& text) {
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(most_memory);
  return std::make_shared<const RE2>(text, options);
}

}  // namespace

Pattern::Pattern(const std::string& text) : compiled_(text.empty() ? nullptr : compiled(text)) {}

const std::string& Pattern::text() const { return compiled_ ? compiled_->pattern() : nothing; }
const std::string& Pattern::problem() const { return compiled_ ? compiled_->error() : nothing; }
bool Pattern::matches(std::string_view value) const { return !compiled_ || RE2::FullMatch(value, *compiled_); }

}  // namespace restream
