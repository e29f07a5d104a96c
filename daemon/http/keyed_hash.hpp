// Names for things that must not be written down: a hash that only the holder of a random key can compute. The cache
// names its files by it, and quotas name credentials by it, so that neither a URL nor a key's value is on disk in
// clear. A value, safe to use from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>
#include <string_view>

namespace restream {

class KeyedHash {
 public:
  using Key = std::array<unsigned char, 32>;

  explicit KeyedHash(const Key& key) : key_(key) {}

  [[nodiscard]] std::string bytes(std::string_view text) const;  // HMAC-SHA-256, 32 bytes
  [[nodiscard]] std::string name(std::string_view text) const;   // the first half of it, as 32 hexadecimal digits

 private:
  Key key_;
};

// The key in `file` (32 bytes, 0600), made at random when there is none. The error is a sentence.
std::expected<KeyedHash, std::string> open_keyed_hash(const std::filesystem::path& file);

// With a key of its own that nobody can find out, for as long as the object lives.
KeyedHash random_keyed_hash();

}  // namespace restream
