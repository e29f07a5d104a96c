// Writing a keystore: the whole file at once, under a lock, so that at any moment the old one or the new one is there
// and opens. I/O; any thread (waits up to five seconds for the lock). Nothing here asks anybody anything.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>

#include "keys/keystore.hpp"

namespace restream::keys {

// An exclusive lock on `.lock` in the keystore's directory: not on the keystore, which is replaced under the lock.
// The kernel drops it when the process dies.
class StoreLock {
 public:
  static std::expected<StoreLock, KeysError> take(const std::string& keystore_path, std::chrono::milliseconds patience);

 private:
  explicit StoreLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};
inline constexpr std::chrono::milliseconds kLockPatience{5000};

struct Written {
  StoreId id{};
  std::uint64_t gen = 0;
};

// A new, empty keystore that belongs to `owner`. A keystore that is there already is refused (usage) and stays.
// `make_key` is called under the lock, so that two who begin at once agree on one key.
using MakeKey = std::function<std::expected<MasterKey, KeysError>()>;
std::expected<Written, KeysError> create_keystore(const std::string& path, const MakeKey& make_key,
                                                  const FileOwner& owner, const Owners& owners,
                                                  int log2_n = kDefaultLog2N);

// Reads the keystore again under the lock, lets `edit` change the entries, and writes the result. When `edit` fails,
// nothing is written. `seen`: a header that was read before; an older keystore in its place is a rollback.
using Edit = std::function<std::expected<void, KeysError>(Entries&)>;
std::expected<Written, KeysError> update_keystore(const std::string& path, const MasterKey& key, const Owners& owners,
                                                  const std::optional<Header>& seen, const Edit& edit);

// Seals the keystore under a new master key: a new key file in the place of the old one, or `new_passphrase`.
std::expected<Written, KeysError> rekey_keystore(const std::string& path, const MasterKey& key, const Owners& owners,
                                                 const std::optional<Header>& seen,
                                                 std::optional<Secret> new_passphrase);

// Puts the successor of a key file in its place when the keystore is sealed under it already. Best effort: whoever
// may not write there leaves it to the next.
void finish_rekey(const std::string& path, const MasterKey& key, const Owners& owners);

}  // namespace restream::keys
