// Canonical base64 (RFC 4648, padded): every value has exactly one text, and no other text is read. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace restream::keys {

std::string base64(std::span<const std::uint8_t> bytes);

// Fills `out` exactly. False when the text is of another length, holds a foreign character, or sets bits that its
// last character does not need.
bool base64_decode(std::string_view text, std::span<std::uint8_t> out);

}  // namespace restream::keys
