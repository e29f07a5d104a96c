#include "keyring/keyring.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "keys/files.hpp"
#include "keys/keystore.hpp"
#include "keys/master_key.hpp"
#include "keys/shell_word.hpp"

namespace restream {

namespace {

constexpr const char* default_config = "/etc/restream/restream.yaml";
constexpr const char* default_master_key = "/etc/restream/master.key";
constexpr const char* default_credential = "master";
constexpr std::size_t memory_limit = 1024;  // the file that print_seen() fills has about 130 bytes

// Whose the memory is. Run by root, it is the state directory's owner: the daemon may be a service of another user, and
// whoever owns the directory could replace the file anyway.
keys::FileOwner owner_of_memory(const std::filesystem::path& path) {
  struct stat directory{};
  if (geteuid() == 0 && stat(path.parent_path().c_str(), &directory) == 0)
    return {directory.st_uid, directory.st_gid, 0600};
  return {geteuid(), getegid(), 0600};
}

// One source, chosen before anything is opened: a unit that hands over a credential does so because the file is root's.
std::string master_key_of(const KeysConfig& config) {
  if (config.master_key) return *config.master_key;
  const char* const credentials = std::getenv("CREDENTIALS_DIRECTORY");
  std::error_code ignored;
  if (credentials != nullptr &&
      std::filesystem::exists(std::filesystem::path(credentials) / default_credential, ignored))
    return std::string("credential:") + default_credential;
  return default_master_key;
}

// Whoever pastes it is in another directory than the daemon.
std::string path_word(const std::filesystem::path& path) {
  return keys::shell_word(std::filesystem::absolute(path).string());
}

std::string sudo() {
  const auto service = keys::service_user();
  return geteuid() == 0 || (service && service->uid == geteuid()) ? "sudo " : "";
}

// What to do about a keystore that does not open, where its own words leave that open.
std::string advice(keys::KeysErrorKind kind, const keys::MasterKeySource& source, const std::filesystem::path& file) {
  if (kind != keys::KeysErrorKind::wrong_key) return {};
  const bool credential = source.kind == keys::MasterKeySource::Kind::credential;
  return ". Whether it and the master key belong together tells `" + sudo() + "restream-keys --file " +
         path_word(file) + (credential ? "" : " --master-key " + path_word(source.name)) + " verify`" +
         (credential ? "; if they do, the service was started before a `restream-keys rekey`: restart it, because only "
                       "then systemd hands it the new master key"
                     : "");
}

}  // namespace

std::string keys_command(const KeysConfig& config) {
  std::string command = "restream-keys";
  if (config.file != KeysConfig().file) command += " --file " + path_word(config.file);
  const auto source = keys::parse_master_key_source(config.master_key.value_or(default_master_key));
  if (source && source->kind == keys::MasterKeySource::Kind::file && source->name != default_master_key)
    command += " --master-key " + path_word(source->name);
  return command;
}

std::string set_command(const KeysConfig& config, const std::string& fetcher, const std::string& key) {
  return keys_command(config) + " set " + keys::shell_word(fetcher) + " " + keys::shell_word(key);
}

std::string accept_command(const std::filesystem::path& config_file) {
  return sudo() + "restreamd " + (config_file == default_config ? "" : "--config " + path_word(config_file) + " ") +
         "--accept-rollback";
}

Keyring::Keyring(KeysConfig config, const std::filesystem::path& state_directory, std::filesystem::path config_file)
    : config_(std::move(config)), memory_(state_directory / "keystore.seen"), config_file_(std::move(config_file)) {}

std::expected<KeyValues, std::string> Keyring::read() {
  read_at_ = stamp_of(config_.file);
  if (!read_at_.there) return KeyValues{};
  auto opened = open();
  if (!opened) return std::unexpected(std::move(opened.error()));
  const auto before = recall();
  if (!before) return std::unexpected(before.error());
  if (*before) {
    if (**before == opened->seen) return std::move(opened->values);
    if (const std::string reason = rollback_reason(**before, opened->seen); !reason.empty())
      return std::unexpected("keys.file: " + config_.file.string() + ": " + reason +
                             ". Bring back the newer one; or, if this one was put there on purpose, run `" +
                             accept_command(config_file_) + "` once");
  }
  if (auto kept = remember(opened->seen); !kept) return std::unexpected(std::move(kept.error()));
  return std::move(opened->values);
}

std::expected<std::string, std::string> Keyring::accept() {
  if (!stamp_of(config_.file).there)
    return std::unexpected("keys.file: " + config_.file.string() + " is not there, so there is nothing to accept");
  const auto opened = open();
  if (!opened) return std::unexpected(opened.error());
  if (auto kept = remember(opened->seen); !kept) return std::unexpected(std::move(kept.error()));
  return config_.file.string() + ": generation " + std::to_string(opened->seen.gen) +
         " is accepted from now on, and newer ones";
}

bool Keyring::changed() const { return stamp_of(config_.file) != read_at_; }

Keyring::Stamp Keyring::stamp_of(const std::filesystem::path& file) {
  struct stat found{};
  if (lstat(file.c_str(), &found) != 0) return {};
  return {.there = true,
          .device = found.st_dev,
          .inode = found.st_ino,
          .size = found.st_size,
          .seconds = found.st_mtim.tv_sec,
          .nanoseconds = found.st_mtim.tv_nsec,
          .mode = found.st_mode,
          .owner = found.st_uid};
}

std::expected<Keyring::Opened, std::string> Keyring::open() const {
  const auto source = keys::parse_master_key_source(master_key_of(config_));
  if (!source) return std::unexpected("keys.master_key: " + source.error().message);
  const auto master = keys::load_master_key(*source, keys::default_owners());
  if (!master) return std::unexpected("keys.master_key: " + master.error().message);
  const auto store = keys::open_keystore(config_.file.string(), *master, keys::default_owners());
  if (!store)
    return std::unexpected("keys.file: " + store.error().message + advice(store.error().kind, *source, config_.file));
  Opened opened{.values = {}, .seen = {.id = store->id, .gen = store->gen, .sha256 = store->sha256}};
  for (const auto& [fetcher, entry] : store->entries)
    for (const auto& [name, value] : entry) opened.values[fetcher][name] = value.view();
  return opened;
}

// The memory, or nothing when there is none yet.
std::expected<std::optional<Seen>, std::string> Keyring::recall() const {
  keys::Owners owners = keys::default_owners();
  owners.trusted.push_back(owner_of_memory(memory_).uid);
  auto file = keys::open_private(memory_.string(), "the memory of the keystore", owners, keys::Check::private_file);
  if (!file && file.error().kind == keys::KeysErrorKind::missing) return std::optional<Seen>{};
  if (!file) return std::unexpected(file.error().message);
  const auto text = keys::read_text(file->fd.get(), memory_.string(), memory_limit, keys::KeysErrorKind::damaged);
  const auto seen = text ? parse_seen(*text) : std::nullopt;
  if (!seen)
    return std::unexpected(memory_.string() +
                           ": what was remembered of the keystore is damaged. If the keystore is the right one, run `" +
                           accept_command(config_file_) + "` once");
  return seen;
}

// A whole new file in the place of the old one: a crash leaves the one or the other.
std::expected<void, std::string> Keyring::remember(const Seen& seen) const {
  const std::string path = memory_.string();
  const std::string temporary = path + ".tmp";
  unlink(temporary.c_str());
  if (auto written = keys::write_new_file(temporary, print_seen(seen), owner_of_memory(memory_)); !written)
    return std::unexpected(std::move(written.error().message));
  if (std::rename(temporary.c_str(), path.c_str()) != 0)
    return std::unexpected(keys::system_error("cannot replace", path).message);
  if (auto synced = keys::sync_directory_of(path); !synced) return std::unexpected(std::move(synced.error().message));
  return {};
}

}  // namespace restream
