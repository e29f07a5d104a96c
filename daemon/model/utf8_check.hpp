// Whether text that comes in pieces is UTF-8, as strict as RFC 3629. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace restream {

class Utf8Check {
 public:
  // False as soon as the text cannot be UTF-8 any more, whatever follows.
  bool add(std::string_view text) {
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (more_ == 0) {
        if (!lead(byte)) return false;
      } else {
        if (byte < low_ || byte > high_) return false;
        low_ = 0x80;
        high_ = 0xbf;
        --more_;
      }
    }
    return true;
  }
  // No character is left half said.
  [[nodiscard]] bool whole() const { return more_ == 0; }

 private:
  bool lead(unsigned char byte) {
    if (byte < 0x80) return true;
    if (byte < 0xc2 || byte > 0xf4) return false;
    more_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    // The second byte is where overlong forms, surrogates and code points beyond U+10FFFF show.
    low_ = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    high_ = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    return true;
  }

  std::uint8_t more_ = 0;  // bytes that the character still needs
  std::uint8_t low_ = 0;   // what the next one may be
  std::uint8_t high_ = 0;
};

}  // namespace restream
