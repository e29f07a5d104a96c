#include "keys/master_key.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <tuple>
#include <utility>

namespace restream::keys {

namespace {

constexpr std::string_view kCredentialPrefix = "credential:";
constexpr std::string_view kKekInfo = "restream-keystore/1 kek";
constexpr std::string_view kKeyIdInfo = "restream-keystore/1 key id";

KeysError usage(std::string message) { return {KeysErrorKind::usage, std::move(message)}; }

std::expected<std::string, KeysError> credential_path(const std::string& name) {
  // systemd sets this variable; it holds a directory, not a secret.
  const char* directory = secure_getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || *directory == '\0') {
    return std::unexpected(usage("the master key is credential:" + name +
                                 ", but there is no $CREDENTIALS_DIRECTORY: this source works in a systemd unit with "
                                 "LoadCredential=" +
                                 name + ":PATH. Outside of it, give --master-key PATH"));
  }
  return std::string(directory) + "/" + name;
}

}  // namespace

std::expected<MasterKeySource, KeysError> parse_master_key_source(std::string_view text) {
  using Kind = MasterKeySource::Kind;
  if (text == "passphrase") return MasterKeySource{Kind::passphrase, {}};
  if (text.starts_with(kCredentialPrefix)) {
    const std::string name(text.substr(kCredentialPrefix.size()));
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
      return std::unexpected(usage("credential:NAME wants the name of a systemd credential, without '/'"));
    }
    return MasterKeySource{Kind::credential, name};
  }
  if (text.empty()) {
    return std::unexpected(usage("the master key's source is empty: give PATH, credential:NAME or passphrase"));
  }
  return MasterKeySource{Kind::file, std::string(text)};
}

std::expected<MasterKey, KeysError> load_master_key(const MasterKeySource& source, const Owners& owners) {
  using Kind = MasterKeySource::Kind;
  if (source.kind == Kind::passphrase) {
    return std::unexpected(usage("a passphrase can only be asked for by restream-keys: give PATH or credential:NAME"));
  }
  std::string path = source.name;
  if (source.kind == Kind::credential) {
    auto found = credential_path(source.name);
    if (!found) return std::unexpected(std::move(found.error()));
    path = std::move(*found);
  }
  const Check check = source.kind == Kind::credential ? Check::none : Check::key_file;
  auto file = open_private(path, "the master key", owners, check);
  if (!file && file.error().kind == KeysErrorKind::missing) {
    // For the keystore `missing` means something else: that there are no keys.
    return std::unexpected(KeysError{
        KeysErrorKind::io, file.error().message + (source.kind == Kind::file
                                                       ? ". Bring back your copy of it: nothing else opens the keystore"
                                                       : ". Look at LoadCredential= in the unit")});
  }
  if (!file) return std::unexpected(std::move(file.error()));
  auto bytes = read_secret(file->fd.get(), path, 4096, KeysErrorKind::wrong_key);
  if (!bytes) return std::unexpected(std::move(bytes.error()));
  if (bytes->size() != kKeySize) {
    return std::unexpected(KeysError{
        KeysErrorKind::wrong_key, "the master key " + path + " must have exactly 32 bytes and has " +
                                      std::to_string(bytes->size()) + (bytes->size() == 33 ? " (a line end?)" : "")});
  }
  return MasterKey{false, std::move(*bytes), source.kind == Kind::file ? path : std::string()};
}

MasterKey passphrase_key(Secret passphrase) { return {true, std::move(passphrase), {}}; }

std::expected<bool, KeysError> create_master_key(const std::string& path, const FileOwner& owner) {
  // Written beside it and then linked: link(2), unlike rename(2), never replaces what is there.
  const std::string temporary = sibling(path, "." + file_name_of(path) + ".tmp-" + std::to_string(getpid()));
  unlink(temporary.c_str());
  const Secret key = random_key();
  if (auto written = write_new_file(temporary, key.view(), owner); !written) {
    return std::unexpected(std::move(written.error()));
  }
  const bool linked = link(temporary.c_str(), path.c_str()) == 0;
  const int error = errno;
  unlink(temporary.c_str());
  if (!linked && error == EEXIST) return false;
  errno = error;
  if (!linked) return std::unexpected(system_error("cannot create the master key", path));
  if (auto synced = sync_directory_of(path); !synced) return std::unexpected(std::move(synced.error()));
  return true;
}

std::string successor_path(const std::string& path) { return path + ".new"; }

KeyId key_id(const Secret& master_key, const StoreId& id) {
  const Secret derived = hkdf_sha256(master_key.bytes(), id, kKeyIdInfo, std::tuple_size_v<KeyId>);
  KeyId result{};
  std::ranges::copy(derived.bytes(), result.begin());
  return result;
}

std::expected<Secret, KeysError> derive_kek(const MasterKey& key, const Header& header) {
  if (const auto* raw = std::get_if<RawKek>(&header.kek)) {
    if (key.is_passphrase) {
      return std::unexpected(KeysError{KeysErrorKind::wrong_key,
                                       "it is sealed under a key file, not a passphrase: give --master-key PATH"});
    }
    if (key_id(key.bytes, header.id) != raw->key_id) {
      return std::unexpected(KeysError{KeysErrorKind::wrong_key, "the header names another key than this one"});
    }
    return hkdf_sha256(key.bytes.bytes(), header.id, kKekInfo, kKeySize);
  }
  if (!key.is_passphrase) {
    return std::unexpected(KeysError{KeysErrorKind::wrong_key,
                                     "it is sealed under a passphrase, which restream-keys takes with --master-key "
                                     "passphrase; a daemon needs a key file"});
  }
  const auto& kek = std::get<ScryptKek>(header.kek);
  return scrypt(key.bytes.bytes(), kek.salt, kek.log2_n);
}

Kek new_kek(const MasterKey& key, const StoreId& id, int log2_n) {
  if (!key.is_passphrase) return RawKek{key_id(key.bytes, id)};
  ScryptKek kek;
  kek.log2_n = log2_n;
  fill_random(kek.salt);
  return kek;
}

}  // namespace restream::keys
