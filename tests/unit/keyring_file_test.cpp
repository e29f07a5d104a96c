// The daemon's memory of the keystore, with real files and users.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "keyring/keyring.hpp"
#include "keys/keystore_writer.hpp"

using namespace restream;
namespace fs = std::filesystem;

namespace {

constexpr uid_t nobody = 65534;

// A keystore with one key, its master key, and a state directory.
struct World {
  World() {
    std::string pattern = "/tmp/restream-keyring-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
    REQUIRE(chmod(folder.c_str(), 0755) == 0);
    fs::create_directory(folder / "state");
    const auto make_key = [&]() -> std::expected<keys::MasterKey, keys::KeysError> {
      if (auto made = keys::create_master_key(master.string(), owner); !made) return std::unexpected(made.error());
      return keys::load_master_key({keys::MasterKeySource::Kind::file, master.string()}, owners);
    };
    master = folder / "master.key";
    file = folder / "keys.restream";
    REQUIRE(keys::create_keystore(file.string(), make_key, owner, owners));
    const auto key = keys::load_master_key({keys::MasterKeySource::Kind::file, master.string()}, owners);
    REQUIRE(key);
    const auto edit = [](keys::Entries& entries) -> std::expected<void, keys::KeysError> {
      entries = keys::parse_entries(R"({"f": {"k": "value"}})").value();
      return {};
    };
    REQUIRE(keys::update_keystore(file.string(), *key, owners, std::nullopt, edit));
  }
  ~World() {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] Keyring keyring() const {
    KeysConfig config;
    config.file = file;
    config.master_key = master.string();
    return {config, folder / "state", "/etc/restream/restream.yaml"};
  }
  [[nodiscard]] struct stat memory() const {
    struct stat found{};
    REQUIRE(stat((folder / "state" / "keystore.seen").c_str(), &found) == 0);
    return found;
  }

  fs::path folder;
  fs::path master;
  fs::path file;
  keys::FileOwner owner{geteuid(), getegid(), 0600};
  keys::Owners owners = keys::default_owners();
};

// What a process of that user says of it: 0 when it reads one fetcher's keys.
int read_as(uid_t user, const World& world) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (setgid(user) != 0 || setuid(user) != 0) _exit(2);
    const auto read = world.keyring().read();
    if (!read) std::fprintf(stderr, "%s\n", read.error().c_str());
    _exit(read && read->size() == 1 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE(
    "the command that sets a key names the keystore and the master key where they are elsewhere, and can be pasted") {
  const auto told = [](const KeysConfig& config) { return set_command(config, "nyt-top", "api-key"); };
  CHECK(told({}) == "restream-keys set nyt-top api-key");
  CHECK(told({.file = "/etc/restream/keys.restream", .master_key = "/etc/restream/master.key"}) ==
        "restream-keys set nyt-top api-key");
  CHECK(told({.file = "/srv/keys", .master_key = {}}) == "restream-keys --file /srv/keys set nyt-top api-key");
  CHECK(told({.file = "/srv/my keys", .master_key = "/srv/it's $HOME"}) ==
        R"(restream-keys --file '/srv/my keys' --master-key '/srv/it'\''s $HOME' set nyt-top api-key)");
  CHECK(told({.file = "mine", .master_key = {}}) ==
        "restream-keys --file " + (std::filesystem::current_path() / "mine").string() + " set nyt-top api-key");
  CHECK(told({.file = "/srv/keys", .master_key = "credential:master"}) ==
        "restream-keys --file /srv/keys set nyt-top api-key");
  CHECK(set_command({}, "odd", "a key; `reboot`") == "restream-keys set odd 'a key; `reboot`'");
}

TEST_CASE("the command that accepts a rollback names the configuration where it is elsewhere, and the user who may") {
  if (geteuid() != 0) {
    WARN("only root can try it");
    return;
  }
  CHECK(accept_command("/etc/restream/restream.yaml") == "sudo restreamd --accept-rollback");
  CHECK(accept_command("/srv/my own.yaml") == "sudo restreamd --config '/srv/my own.yaml' --accept-rollback");
  CHECK(accept_command("mine.yaml") ==
        "sudo restreamd --config " + (fs::current_path() / "mine.yaml").string() + " --accept-rollback");
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0)
    _exit(setuid(nobody) == 0 && accept_command("/srv/a") == "restreamd --config /srv/a --accept-rollback" ? 0 : 1);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("what root accepts, the daemon's own user can read") {
  if (geteuid() != 0) {
    WARN("only root can try it");
    return;
  }
  const World world;
  REQUIRE(chown((world.folder / "state").c_str(), nobody, nobody) == 0);
  REQUIRE(chmod((world.folder / "state").c_str(), 0700) == 0);
  REQUIRE(world.keyring().accept());
  const struct stat found = world.memory();
  CHECK(found.st_uid == nobody);
  CHECK(found.st_gid == nobody);
  CHECK((found.st_mode & 07777) == 0600);
  CHECK(world.keyring().read());  // root believes it, too

  REQUIRE(chown(world.file.c_str(), nobody, nobody) == 0);
  REQUIRE(chown(world.master.c_str(), nobody, nobody) == 0);
  CHECK(read_as(nobody, world) == 0);
}

TEST_CASE("a memory that somebody else could have written is not believed") {
  if (geteuid() != 0) {
    WARN("only root can try it");
    return;
  }
  const World world;
  REQUIRE(world.keyring().read());
  REQUIRE(chown((world.folder / "state" / "keystore.seen").c_str(), nobody, nobody) == 0);
  const auto read = world.keyring().read();
  REQUIRE_FALSE(read);
  CHECK_THAT(read.error(), Catch::Contains("belongs to uid 65534"));
}

TEST_CASE("a wrong master key: what tells, and that systemd hands over a new one only at a start") {
  const World world;
  const auto error_with = [&](const std::string& source) {
    KeysConfig config;
    config.file = world.file;
    config.master_key = source;
    const auto read = Keyring(config, world.folder / "state", {}).read();
    REQUIRE_FALSE(read);
    return read.error();
  };
  std::ofstream(world.master) << std::string(32, 'k');
  const std::string of_file = error_with(world.master.string());
  CHECK_THAT(of_file, Catch::Contains("restream-keys --file " + world.file.string() + " --master-key " +
                                      world.master.string() + " verify`"));
  CHECK_THAT(of_file, !Catch::Contains("systemd"));

  REQUIRE(setenv("CREDENTIALS_DIRECTORY", world.folder.c_str(), 1) == 0);
  const std::string of_credential = error_with("credential:master.key");
  unsetenv("CREDENTIALS_DIRECTORY");
  CHECK_THAT(of_credential, Catch::Contains("restream-keys --file " + world.file.string() + " verify`"));
  CHECK_THAT(of_credential, Catch::Contains("before a `restream-keys rekey`: restart it"));
}
