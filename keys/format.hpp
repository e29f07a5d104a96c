// The keystore file, version 1: its text header, read and printed. Pure; no keys and no files here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>

namespace restream::keys {

inline constexpr std::size_t kMaxFileSize = std::size_t{1} << 20;
inline constexpr std::size_t kPadding = 4096;  // the plaintext's length is a multiple of this, so it tells little
inline constexpr int kMinLog2N = 15;
inline constexpr int kMaxLog2N = 18;
inline constexpr int kDefaultLog2N = 17;  // 128 MiB and about half a second

using StoreId = std::array<std::uint8_t, 16>;
using KeyId = std::array<std::uint8_t, 16>;
using Salt = std::array<std::uint8_t, 16>;
using Nonce = std::array<std::uint8_t, 12>;
using WrappedKey = std::array<std::uint8_t, 48>;  // 32 bytes of data key and 16 of tag

struct RawKek {
  KeyId key_id{};
};
struct ScryptKek {
  Salt salt{};
  int log2_n = kDefaultLog2N;
};
using Kek = std::variant<RawKek, ScryptKek>;  // how the key that wraps the data key is made

struct Header {
  StoreId id{};
  std::uint64_t gen = 0;
  Kek kek;
  Nonce wrap_nonce{};
  WrappedKey wrapped{};
  Nonce body_nonce{};
};

// The lines above `wrap`: what the wrapped data key is bound to.
std::string print_above_wrap(const Header& header);
// Everything before the sealed body: what the body is bound to.
std::string print_header(const Header& header);

// The views point into the text that was read.
struct ParsedFile {
  Header header;
  std::string_view above_wrap;
  std::string_view whole_header;
  std::string_view body;  // ciphertext and tag
};
struct FormatError {
  bool unknown_version = false;
  std::string message;  // names the line
};

// Reads only what print_header() prints: every other byte sequence is refused. So is a body whose length no keystore
// can have.
std::expected<ParsedFile, FormatError> parse_file(std::string_view file);

}  // namespace restream::keys
