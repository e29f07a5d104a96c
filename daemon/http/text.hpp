// Small things that URLs and headers share.
#pragma once

#include <algorithm>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "model/clock.hpp"

namespace restream {

// ASCII only, whatever the locale.
inline std::string lower(std::string_view text) {
  std::string copy(text);
  for (char& c : copy)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return copy;
}

// Without blanks and line ends on either side.
inline std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t first = std::min(text.find_first_not_of(blanks), text.size());
  const std::size_t last = text.find_last_not_of(blanks);
  return text.substr(first, last == std::string_view::npos ? 0 : last + 1 - first);
}

// In the form of today and in the two older ones, which RFC 9110 wants to be understood still. What lies beyond 1970
// and 2242 is the one or the other: a WallTime holds no year 9999, and the difference of any two is to fit as well.
inline std::optional<WallTime> parse_http_date(std::string_view text) {
  constexpr std::time_t latest = std::time_t{1} << 33U;
  const std::string copy(trim(text));
  for (const char* form : {"%a, %d %b %Y %H:%M:%S GMT", "%a, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"}) {
    std::tm parts{};
    const char* end = strptime(copy.c_str(), form, &parts);
    if (end != nullptr && *end == '\0')
      return std::chrono::system_clock::from_time_t(std::clamp(timegm(&parts), std::time_t{0}, latest));
  }
  return std::nullopt;
}

}  // namespace restream
