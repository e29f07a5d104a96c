#include "keys/base64.hpp"

#include <algorithm>
#include <vector>

namespace restream::keys {

namespace {
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string base64(std::span<const std::uint8_t> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += k <= count ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

bool base64_decode(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != (out.size() + 2) / 3 * 4) return false;
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const auto digit = kAlphabet.find(text[i + k]);
      group = group << 6 | (digit == std::string_view::npos ? 0U : static_cast<std::uint32_t>(digit));
    }
    for (int shift = 16; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(group >> shift & 255));
  }
  bytes.resize(out.size());
  // One text for one value: printing what was read must give the same text. This catches foreign characters,
  // misplaced padding and stray bits at once.
  if (base64(bytes) != text) return false;
  std::ranges::copy(bytes, out.begin());
  return true;
}

}  // namespace restream::keys
