// The daemon's way to the keystore: reads it, refuses one that was rolled back, and notices when the file changes.
//
// Runs on: core (and main() before it). Does small file I/O there: a keystore is at most 1 MiB and read when it
// changed.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "keyring/seen.hpp"
#include "model/key_values.hpp"

namespace restream {

// "restream-keys", with this keystore and its master key where they are not those that it takes by itself, as it can be
// pasted into a shell. What systemd hands over as a credential it takes from where `restream-keys init` has put it.
std::string keys_command(const KeysConfig& config);
// The whole command that sets a key of a fetcher.
std::string set_command(const KeysConfig& config, const std::string& fetcher, const std::string& key);

// The command that accepts a rollback for the daemon of that configuration. With sudo where root may do it for whom
// this runs as: root believes no file of other users than the service's.
std::string accept_command(const std::filesystem::path& config_file);

class Keyring {
 public:
  // What was last read is remembered in `state_directory`/keystore.seen (0600; root gives it to the directory's owner).
  // `config_file` is for what the errors say.
  Keyring(KeysConfig config, const std::filesystem::path& state_directory, std::filesystem::path config_file);

  // All keys. No file means no keys. The error is a sentence; it never holds a key.
  std::expected<KeyValues, std::string> read();

  // Remembers the keystore as it is now as the newest, whatever was read before. Gives a sentence of what was accepted.
  std::expected<std::string, std::string> accept();

  // Whether the file is another one, or changed, since the last read(), which need not have succeeded.
  [[nodiscard]] bool changed() const;

 private:
  // What the file system tells of a file without opening it.
  struct Stamp {
    bool there = false;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    std::uint32_t mode = 0;  // mending the modes of a refused file is a change, too
    std::uint32_t owner = 0;
    bool operator==(const Stamp&) const = default;
  };
  static Stamp stamp_of(const std::filesystem::path& file);

  struct Opened {
    KeyValues values;
    Seen seen;
  };
  [[nodiscard]] std::expected<Opened, std::string> open() const;
  [[nodiscard]] std::expected<std::optional<Seen>, std::string> recall() const;
  [[nodiscard]] std::expected<void, std::string> remember(const Seen& seen) const;

  KeysConfig config_;
  std::filesystem::path memory_;
  std::filesystem::path config_file_;
  Stamp read_at_;
};

}  // namespace restream
