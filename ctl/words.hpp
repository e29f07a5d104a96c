// Text that came from elsewhere, made fit for a terminal and for a shell. Pure.
#pragma once

#include <string>
#include <string_view>

// A blank in place of every control character, C1's among them: terminals obey those.
inline std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const bool c1 = byte == 0xC2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0;
    if (c1) ++at;
    out += c1 || byte < 0x20 || byte == 0x7F ? ' ' : text[at];
  }
  return out;
}

// As one word of a shell command; in quotes only where it needs them.
inline std::string shell_word(const std::string& text) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word += '\'';
}
