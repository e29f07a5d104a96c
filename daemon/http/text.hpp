// Two small things that URLs and headers share; this room's own.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

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

}  // namespace restream
