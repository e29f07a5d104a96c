// The cryptography of a keystore, all of it OpenSSL's. No files. Throws std::runtime_error where OpenSSL itself fails
// (no memory, no randomness); a text that does not open is no fault and comes back as nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "keys/secret.hpp"

namespace restream::keys {

inline constexpr std::size_t kKeySize = 32;
inline constexpr std::size_t kTagSize = 16;

using Bytes = std::span<const std::uint8_t>;
using Sha256 = std::array<std::uint8_t, 32>;

// Nonces, salts and keys are drawn here and nowhere else, and cannot be handed in from outside: one that can be
// chosen is one that can be repeated.
void fill_random(std::span<std::uint8_t> out);
Secret random_key();

Secret hkdf_sha256(Bytes key, Bytes salt, std::string_view info, std::size_t size);
Secret scrypt(Bytes passphrase, Bytes salt, int log2_n);  // r = 8, p = 1, 32 bytes

// AES-256-GCM: ciphertext, then 16 bytes of tag.
std::string seal(const Secret& key, Bytes nonce, std::string_view bound_to, Bytes plaintext);
std::optional<Secret> unseal(const Secret& key, Bytes nonce, std::string_view bound_to, Bytes sealed);

Sha256 sha256(std::string_view bytes);

Bytes as_bytes(std::string_view text);

}  // namespace restream::keys
