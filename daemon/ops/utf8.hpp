// One character of UTF-8, for what reaches a terminal or a log. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace restream {

// How long the well-formed UTF-8 character (RFC 3629) at the start of `text` is; 0 when there is none.
inline std::size_t utf8_character_size(std::string_view text) {
  const auto byte_at = [text](std::size_t at) -> unsigned { return static_cast<unsigned char>(text[at]); };
  if (text.empty()) return 0;
  const unsigned first = byte_at(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xC2 && first <= 0xDF   ? 2
                           : (first & 0xF0U) == 0xE0        ? 3
                           : first >= 0xF0 && first <= 0xF4 ? 4
                                                            : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte_at(i) & 0xC0U) != 0x80) return 0;
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  const unsigned second = byte_at(1);
  const bool outside = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                       (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return outside ? 0 : size;
}

// C0, DEL, and C1 (two bytes in UTF-8), which terminals obey too.
inline bool is_control_character(std::string_view character) {
  const auto first = static_cast<unsigned char>(character.front());
  return first < 0x20 || first == 0x7F ||
         (first == 0xC2 && character.size() == 2 && static_cast<unsigned char>(character[1]) < 0xA0);
}

// As text that no terminal obeys: a blank in place of every control character, save for line ends where `lines` says
// so.
inline std::string printable(std::string_view text, bool lines = false) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::string_view character = text.substr(0, std::max<std::size_t>(utf8_character_size(text), 1));
    const bool stays = !is_control_character(character) || (lines && character == "\n");
    out += stays ? character : " ";
    text.remove_prefix(character.size());
  }
  return out;
}

// JSON that says the same and that no terminal obeys: JSON escapes C0 itself, and here DEL and C1, which it may hold
// within strings alone.
inline std::string printable_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    const auto byte = static_cast<unsigned char>(json[i]);
    const unsigned next = i + 1 < json.size() ? static_cast<unsigned char>(json[i + 1]) : 0;
    const bool c1 = byte == 0xC2 && next >= 0x80 && next < 0xA0;
    if (byte != 0x7F && !c1) {
      out += json[i];
      continue;
    }
    constexpr std::string_view digits = "0123456789abcdef";
    const unsigned character = c1 ? next : byte;
    out += "\\u00";
    out += digits[character >> 4U];
    out += digits[character & 0xFU];
    i += c1 ? 1 : 0;
  }
  return out;
}

}  // namespace restream
