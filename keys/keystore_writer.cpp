#include "keys/keystore_writer.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <limits>
#include <thread>
#include <utility>

#include "keys/shell_word.hpp"

namespace restream::keys {

namespace {

// There is only one of it, because only the holder of the lock makes it; one that a killed process left is removed.
std::string temporary_path(const std::string& path) { return sibling(path, "." + file_name_of(path) + ".tmp"); }

// The lock file, made on first use. Only a file that we made ourselves is given away: one that was there may be a
// hard link to something else.
std::expected<Fd, KeysError> open_lock_file(const std::string& path) {
  const std::string directory = directory_of(path);
  const std::string lock = sibling(path, ".lock");
  Fd made(open(lock.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (made) {
    struct stat folder{};
    if (geteuid() == 0 && stat(directory.c_str(), &folder) == 0 &&
        fchown(made.get(), folder.st_uid, folder.st_gid) != 0) {
      return std::unexpected(system_error("cannot hand over", lock));
    }
    return made;
  }
  if (errno == ENOENT) {
    return std::unexpected(KeysError{
        KeysErrorKind::io,
        "the directory " + directory + " does not exist. Make it: install -d -m 0755 " + shell_word(directory)});
  }
  if (errno != EEXIST) return std::unexpected(system_error("cannot make the lock", lock));
  Fd found(open(lock.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!found) return std::unexpected(system_error("cannot open the lock", lock));
  return found;
}

// Everything that makes a write safe, in its order.
std::expected<void, KeysError> replace_file(const std::string& path, const std::string& bytes, const FileOwner& owner,
                                            const Owners& owners, const Secret& kek, const Entries& meant) {
  const std::string temporary = temporary_path(path);
  unlink(temporary.c_str());
  if (auto written = write_new_file(temporary, bytes, owner); !written) return written;

  // Proof before the old one goes: what is on disk is read as anybody would read it, and must hold what was meant.
  const auto fail = [&](KeysError error) {
    unlink(temporary.c_str());
    return std::unexpected(std::move(error));
  };
  auto on_disk = read_store_file(temporary, owners);
  if (!on_disk) return fail(std::move(on_disk.error()));
  auto proof = unseal_store_with_kek(on_disk->bytes, temporary, Secret::copy_of(kek.bytes()));
  if (!proof) return fail(std::move(proof.error()));
  if (!same_entries(proof->store.entries, meant)) {
    return fail({KeysErrorKind::io, temporary + " does not hold what was written; " + path + " was left as it is"});
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return fail(system_error("cannot replace", path));
  return sync_directory_of(path);
}

std::optional<KeysError> rolled_back(const std::string& path, const std::optional<Header>& seen, const Header& now) {
  if (!seen || (seen->id == now.id && seen->gen <= now.gen)) return std::nullopt;
  return KeysError{KeysErrorKind::rollback,
                   path + ": an older keystore, or another one, was put in its place while this command ran (gen " +
                       std::to_string(seen->gen) + " before, " + std::to_string(now.gen) +
                       " now). Nothing was written; look who did that, then try again"};
}

// The keystore as it is under the lock, with a finished master key beside it.
std::expected<Found, KeysError> read_again(const std::string& path, const MasterKey& key, const Owners& owners,
                                           const std::optional<Header>& seen) {
  auto found = find_keystore(path, key, owners);
  if (!found) return found;
  if (auto error = rolled_back(path, seen, found->unsealed.header)) return std::unexpected(std::move(*error));
  if (found->unsealed.header.gen == std::numeric_limits<std::uint64_t>::max()) {
    return std::unexpected(KeysError{KeysErrorKind::io, path + ": its generation number cannot go any higher"});
  }
  if (found->used_successor) {
    const std::string successor = successor_path(key.path);
    if (rename(successor.c_str(), key.path.c_str()) != 0) {
      return std::unexpected(system_error("cannot finish the rekey that made", successor));
    }
    if (auto synced = sync_directory_of(key.path); !synced) return std::unexpected(std::move(synced.error()));
  }
  return found;
}

}  // namespace

std::expected<StoreLock, KeysError> StoreLock::take(const std::string& keystore_path,
                                                    std::chrono::milliseconds patience) {
  auto fd = open_lock_file(keystore_path);
  if (!fd) return std::unexpected(std::move(fd.error()));
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return std::unexpected(system_error("cannot lock", sibling(keystore_path, ".lock")));
    if (std::chrono::steady_clock::now() >= give_up) {
      return std::unexpected(
          KeysError{KeysErrorKind::locked, keystore_path + ": another restream-keys is writing (it holds " +
                                               sibling(keystore_path, ".lock") + "). Nothing was changed; try again"});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return StoreLock(std::move(*fd));
}

std::expected<Written, KeysError> create_keystore(const std::string& path, const MakeKey& make_key,
                                                  const FileOwner& owner, const Owners& owners, int log2_n) {
  const auto lock = StoreLock::take(path, kLockPatience);
  if (!lock) return std::unexpected(lock.error());
  struct stat found{};
  if (lstat(path.c_str(), &found) == 0) {
    return std::unexpected(KeysError{KeysErrorKind::usage, path + " exists already, and was left as it is"});
  }
  const auto key = make_key();
  if (!key) return std::unexpected(key.error());

  Header header;
  fill_random(header.id);
  header.gen = 1;
  header.kek = new_kek(*key, header.id, log2_n);
  const auto kek = derive_kek(*key, header);
  if (!kek) return std::unexpected(kek.error());
  const auto bytes = seal_store(header, *kek, {});
  if (!bytes) return std::unexpected(bytes.error());
  if (auto replaced = replace_file(path, *bytes, owner, owners, *kek, {}); !replaced) {
    return std::unexpected(std::move(replaced.error()));
  }
  return Written{header.id, header.gen};
}

std::expected<Written, KeysError> update_keystore(const std::string& path, const MasterKey& key, const Owners& owners,
                                                  const std::optional<Header>& seen, const Edit& edit) {
  const auto lock = StoreLock::take(path, kLockPatience);
  if (!lock) return std::unexpected(lock.error());
  auto found = read_again(path, key, owners, seen);
  if (!found) return std::unexpected(std::move(found.error()));

  Unsealed& opened = found->unsealed;
  Header header = opened.header;
  if (auto edited = edit(opened.store.entries); !edited) return std::unexpected(std::move(edited.error()));
  std::erase_if(opened.store.entries, [](const auto& entry) { return entry.second.empty(); });
  ++header.gen;
  const auto bytes = seal_store(header, opened.kek, opened.store.entries);
  if (!bytes) return std::unexpected(bytes.error());
  if (auto replaced = replace_file(path, *bytes, found->owner, owners, opened.kek, opened.store.entries); !replaced) {
    return std::unexpected(std::move(replaced.error()));
  }
  return Written{header.id, header.gen};
}

std::expected<Written, KeysError> rekey_keystore(const std::string& path, const MasterKey& key, const Owners& owners,
                                                 const std::optional<Header>& seen,
                                                 std::optional<Secret> new_passphrase) {
  if (!key.is_passphrase && key.path.empty()) {
    return std::unexpected(KeysError{KeysErrorKind::usage,
                                     "a systemd credential cannot be written from here: run rekey with --master-key "
                                     "PATH, the file that LoadCredential= reads"});
  }
  if (key.is_passphrase && (!new_passphrase || new_passphrase->empty())) {
    return std::unexpected(KeysError{KeysErrorKind::usage, "the new passphrase is empty"});
  }
  const auto lock = StoreLock::take(path, kLockPatience);
  if (!lock) return std::unexpected(lock.error());
  auto found = read_again(path, key, owners, seen);
  if (!found) return std::unexpected(std::move(found.error()));
  const Entries& entries = found->unsealed.store.entries;

  // The new key is on disk before anything is sealed under it, and takes the old one's place only after that: at any
  // moment one of the two files opens the keystore.
  MasterKey next;
  if (key.is_passphrase) {
    next = passphrase_key(std::move(*new_passphrase));
  } else {
    const std::string successor = successor_path(key.path);
    auto old_file = open_private(key.path, "the master key", owners, Check::key_file);
    if (!old_file) return std::unexpected(std::move(old_file.error()));
    unlink(successor.c_str());  // left over from a rekey that got no further: nothing is sealed under it
    next.bytes = random_key();
    if (auto written = write_new_file(successor, next.bytes.view(), old_file->owner); !written) {
      return std::unexpected(std::move(written.error()));
    }
    if (auto synced = sync_directory_of(successor); !synced) return std::unexpected(std::move(synced.error()));
  }
  Header header = found->unsealed.header;
  ++header.gen;
  header.kek = new_kek(next, header.id, kDefaultLog2N);
  const auto kek = derive_kek(next, header);
  if (!kek) return std::unexpected(kek.error());
  const auto bytes = seal_store(header, *kek, entries);
  if (!bytes) return std::unexpected(bytes.error());
  if (auto replaced = replace_file(path, *bytes, found->owner, owners, *kek, entries); !replaced) {
    return std::unexpected(std::move(replaced.error()));
  }
  if (!key.is_passphrase) {
    if (rename(successor_path(key.path).c_str(), key.path.c_str()) != 0) {
      return std::unexpected(system_error("the keystore is sealed under the new key, but cannot rename", key.path));
    }
    if (auto synced = sync_directory_of(key.path); !synced) return std::unexpected(std::move(synced.error()));
  }
  return Written{header.id, header.gen};
}

void finish_rekey(const std::string& path, const MasterKey& key, const Owners& owners) {
  // Under the lock and looked at again there: the rekey may still be running, and a next one may have begun.
  const auto lock = StoreLock::take(path, std::chrono::milliseconds{0});
  if (!lock) return;
  static_cast<void>(read_again(path, key, owners, std::nullopt));
}

}  // namespace restream::keys
