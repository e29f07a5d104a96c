// The master key: what opens a keystore, and where it comes from. Exactly one source is asked, and when it fails
// nothing else is tried. Never from the command line or the environment.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "keys/crypto.hpp"
#include "keys/error.hpp"
#include "keys/files.hpp"
#include "keys/format.hpp"
#include "keys/secret.hpp"

namespace restream::keys {

struct MasterKeySource {
  enum class Kind : std::uint8_t {
    file,        // PATH: exactly 32 bytes, mode 0400 or 0600
    credential,  // credential:NAME: a file in systemd's $CREDENTIALS_DIRECTORY
    passphrase,  // only restream-keys can ask for one
  };
  Kind kind{};
  std::string name;  // the path, or the credential's name
};
std::expected<MasterKeySource, KeysError> parse_master_key_source(std::string_view text);

struct MasterKey {
  bool is_passphrase = false;
  Secret bytes;      // 32 bytes, or the passphrase
  std::string path;  // of a key file; empty for the other sources. Lets an interrupted `rekey` be finished.
};

// For `file` and `credential`. A passphrase is refused: it cannot be asked for here.
std::expected<MasterKey, KeysError> load_master_key(const MasterKeySource& source, const Owners& owners);
MasterKey passphrase_key(Secret passphrase);

// Makes 32 random bytes at `path`, complete or not at all. False when there is such a file already; it stays.
std::expected<bool, KeysError> create_master_key(const std::string& path, const FileOwner& owner);

// `rekey` keeps the new key here until the keystore is sealed under it.
std::string successor_path(const std::string& path);

// Names a raw master key in the header of one keystore, and tells nothing of the key.
KeyId key_id(const Secret& master_key, const StoreId& id);

// The key that wraps the data key. Nothing when this master key cannot be the right one: of the other kind, or with
// another key id. `header.kek` decides the work.
std::expected<Secret, KeysError> derive_kek(const MasterKey& key, const Header& header);

// For a new keystore or a new master key.
Kek new_kek(const MasterKey& key, const StoreId& id, int log2_n);

}  // namespace restream::keys
