// For commands that messages name, so that they can be pasted. Pure; needs nothing else of this folder.
#pragma once

#include <string>
#include <string_view>

namespace restream::keys {

// `text` as one word of a shell command; in quotes only where it needs them.
inline std::string shell_word(std::string_view text) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:=";
  if (!text.empty() && text.find_first_not_of(plain) == std::string_view::npos) return std::string(text);
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') {
      word += "'\\''";
    } else {
      word += c;
    }
  }
  return word += '\'';
}

}  // namespace restream::keys
