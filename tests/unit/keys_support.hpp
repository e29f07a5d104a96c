// What the tests of the keystore share: a directory of their own, keys, files, and the command as a real process.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "keys/base64.hpp"
#include "keys/keystore.hpp"
#include "keys/keystore_writer.hpp"

namespace keys_test {

namespace keys = restream::keys;
using keys::KeysErrorKind;
using keys::Secret;

// Made under /tmp, gone with its content at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path + "/" + name; }
  std::string path;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view bytes, mode_t mode = 0600);
std::vector<std::string> files_in(const std::string& directory);
// Of `directory`, all files together.
bool any_file_holds(const std::string& directory, std::string_view text);

keys::MasterKey raw_key(std::span<const std::uint8_t> bytes);
keys::Entries entries_of(std::string_view json);

// A keystore in `dir`, with these entries; the master key is in `master`.
std::string sealed_file(const keys::MasterKey& key, std::string_view json, int log2_n = keys::kMinLog2N);

// restream-keys, in a session of its own, so without a terminal.
struct Outcome {
  int code = -1;  // 128 + signal where one ended it
  std::string out;
  std::string err;
};
struct Spawn {
  std::vector<std::string> arguments = {};
  std::optional<std::string> input = "";      // none: a pipe that stays open and silent
  std::vector<std::string> environment = {};  // in place of ours
  std::function<void(pid_t)> meanwhile = {};  // called once it runs and has been given its input
  std::function<void()> in_child = {};        // before exec
  int seconds = 60;                           // killed after that
};
Outcome run(const Spawn& spawn);

// A directory with an initialised keystore, and the command pointed at it.
class Store {
 public:
  Store();
  Outcome run(std::vector<std::string> arguments, std::optional<std::string> input = "") const;
  [[nodiscard]] std::vector<std::string> arguments(std::vector<std::string> more) const;
  [[nodiscard]] std::string file() const { return dir / "keys.restream"; }
  [[nodiscard]] std::string master() const { return dir / "master.key"; }
  [[nodiscard]] std::string get(const std::string& fetcher, const std::string& key) const;  // through the library
  [[nodiscard]] std::uint64_t gen() const;
  TempDir dir;
};

}  // namespace keys_test
