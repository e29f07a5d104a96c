#include "model/pattern.hpp"

#include <re2/re2.h>

namespace restream {

namespace {

const std::string nothing;

}  // namespace

Pattern::Pattern(const std::string& text)
    : compiled_(text.empty() ? nullptr : std::make_shared<const RE2>(text, RE2::Quiet)) {}

const std::string& Pattern::text() const { return compiled_ ? compiled_->pattern() : nothing; }
const std::string& Pattern::problem() const { return compiled_ ? compiled_->error() : nothing; }
bool Pattern::matches(std::string_view value) const { return !compiled_ || RE2::FullMatch(value, *compiled_); }

}  // namespace restream
