#include "store/quota_uses.hpp"

#include <charconv>

#include "store/store.hpp"

namespace restream {

namespace {

std::int64_t millis(WallTime time) { return std::chrono::floor<Millis>(time.time_since_epoch()).count(); }

// Takes a number and the sign behind it off the front.
std::int64_t take(std::string_view& text, char& sign) {
  std::int64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc{}) throw StoreError("the state database holds a broken quota");
  text.remove_prefix(static_cast<std::size_t>(end.ptr - text.data()));
  sign = text.empty() ? ';' : text.front();
  if (!text.empty()) text.remove_prefix(1);
  return value;
}

}  // namespace

std::string pack_uses(const std::vector<QuotaWindow>& windows) {
  std::string text;
  for (const QuotaWindow& window : windows) {
    if (window.uses.empty()) continue;
    if (!text.empty()) text += ';';
    text += std::to_string(window.per.count());
    char sign = ':';
    for (const QuotaUse& use : window.uses) {
      ((text += sign) += std::to_string(use.calls) + "@") += std::to_string(millis(use.end));
      sign = ',';
    }
  }
  return text;
}

std::vector<QuotaWindow> unpack_uses(std::string_view text) {
  std::vector<QuotaWindow> windows;
  while (!text.empty()) {
    char sign = 0;
    QuotaWindow window;
    window.per = Millis(take(text, sign));
    while (sign == ':' || sign == ',') {
      QuotaUse use;
      use.calls = static_cast<std::uint64_t>(take(text, sign));
      if (sign != '@') throw StoreError("the state database holds a broken quota");
      use.end = WallTime(Millis(take(text, sign)));
      window.uses.push_back(use);
    }
    if (sign != ';') throw StoreError("the state database holds a broken quota");
    windows.push_back(std::move(window));
  }
  return windows;
}

}  // namespace restream
