// Reading a keystore. Any thread; nothing here writes, except that an interrupted `restream-keys rekey` is finished.
//
//   init_secure_memory();
//   auto source = parse_master_key_source("/etc/restream/master.key");
//   auto key = load_master_key(*source, default_owners());
//   auto store = open_keystore("/etc/restream/keys.restream", *key, default_owners());
//   if (!store && store.error().kind == KeysErrorKind::missing) …  // no file: no keys, and no fault
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "keys/crypto.hpp"
#include "keys/entries.hpp"
#include "keys/error.hpp"
#include "keys/files.hpp"
#include "keys/format.hpp"
#include "keys/master_key.hpp"

namespace restream::keys {

// An opened keystore. Whoever must notice an older one put in its place remembers `id`, `gen` and `sha256`: a lower
// gen, the same gen with another hash, or another id is not the keystore that was there.
struct Keystore {
  Entries entries;
  StoreId id{};
  std::uint64_t gen = 0;
  Sha256 sha256{};  // of the whole file
};

// Kinds of failure: missing, permissions, wrong_key, damaged, unknown_version, io.
//   wrong_key: "wrong master key, or the header was altered": what the header holds did not open with this key.
//   damaged:   "the keystore is damaged": the file is not laid out as one, or the key is right and the body does not
//              open.
std::expected<Keystore, KeysError> open_keystore(const std::string& path, const MasterKey& key, const Owners& owners);

// The value, or null. Points into the keystore.
const Secret* find_key(const Keystore& store, std::string_view fetcher, std::string_view name);

// What can be told without any key, and proves nothing: the header as it stands.
std::expected<Header, KeysError> peek_keystore(const std::string& path, const Owners& owners);

// The steps of the above, for the writer. They know no files: `path` only names the file in messages.
struct Unsealed {
  Keystore store;
  Header header;
  Secret kek;
};
std::expected<Unsealed, KeysError> unseal_store(const std::string& file, const std::string& path, const MasterKey& key);
std::expected<Unsealed, KeysError> unseal_store_with_kek(const std::string& file, const std::string& path, Secret kek);
// Draws a new data key and new nonces; `header` says the id, the gen and how `kek` is made.
std::expected<std::string, KeysError> seal_store(Header header, const Secret& kek, const Entries& entries);

// The file's bytes, once it is seen to be ours alone.
struct StoreFile {
  std::string bytes;
  FileOwner owner;
};
std::expected<StoreFile, KeysError> read_store_file(const std::string& path, const Owners& owners);

// The file unsealed with `key`, or with what `key.path` and its successor hold by now: a `rekey` may have been
// interrupted, or have finished since the key was read. `used_successor`: the keystore is sealed under the successor.
struct Found {
  Unsealed unsealed;
  FileOwner owner;
  bool used_successor = false;
};
std::expected<Found, KeysError> find_keystore(const std::string& path, const MasterKey& key, const Owners& owners);

}  // namespace restream::keys
