// A regular expression in RE2's syntax: compiled once, and shared by all copies. A value.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace restream {

class Pattern {
 public:
  Pattern() = default;  // matches anything
  explicit Pattern(const std::string& text);

  [[nodiscard]] bool empty() const { return !compiled_; }
  [[nodiscard]] const std::string& text() const;
  // Why it is none; empty when it is one.
  [[nodiscard]] const std::string& problem() const;
  // The whole of it. In linear time, so that neither a plugin's pattern nor a subscriber's value can stall the daemon.
  [[nodiscard]] bool matches(std::string_view value) const;

 private:
  std::shared_ptr<const re2::RE2> compiled_;
};

}  // namespace restream
