// The library on real files: whom it trusts, how it writes, and what an interrupted rekey leaves.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "keys/shell_word.hpp"
#include "keys_support.hpp"

namespace keys_test {

namespace {

using Kind = keys::MasterKeySource::Kind;

keys::MasterKey load(const std::string& path) {
  auto key = keys::load_master_key({Kind::file, path}, keys::default_owners());
  if (!key) FAIL(key.error().message);
  return std::move(*key);
}

std::expected<keys::Keystore, keys::KeysError> open(const Store& store) {
  return keys::open_keystore(store.file(), load(store.master()), keys::default_owners());
}

keys::Edit put(const std::string& value) {
  return [value](keys::Entries& entries) -> std::expected<void, keys::KeysError> {
    entries["nyt-top"].insert_or_assign("api-key", Secret::copy_of(value));
    return {};
  };
}

void write(const Store& store, const std::string& value) {
  const auto written =
      keys::update_keystore(store.file(), load(store.master()), keys::default_owners(), {}, put(value));
  if (!written) FAIL(written.error().message);
}

struct stat status_of(const std::string& path) {
  struct stat found{};
  REQUIRE(stat(path.c_str(), &found) == 0);
  return found;
}

// Refused as the file stands; the message holds the line that mends it.
void check_permissions(const std::expected<keys::Keystore, keys::KeysError>& opened, const std::string& remedy) {
  REQUIRE_FALSE(opened);
  CHECK(opened.error().kind == KeysErrorKind::permissions);
  CHECK(keys::exit_code(opened.error().kind) == 6);
  INFO(opened.error().message);
  CHECK(opened.error().message.find(remedy) != std::string::npos);
}

}  // namespace

TEST_CASE("what is written is read, with an id that stays and a generation that rises") {
  const Store store;
  const auto empty = open(store);
  REQUIRE(empty);
  CHECK(empty->gen == 1);
  CHECK(empty->entries.empty());
  write(store, "first");
  write(store, "first");  // the same value is a write as well
  const auto opened = open(store);
  REQUIRE(opened);
  CHECK(opened->gen == 3);
  CHECK(opened->id == empty->id);
  CHECK(opened->sha256 != empty->sha256);
  CHECK(opened->sha256 == keys::sha256(read_file(store.file())));
  CHECK(keys::find_key(*opened, "nyt-top", "api-key")->view() == "first");
  CHECK(keys::find_key(*opened, "nyt-top", "other") == nullptr);
  CHECK(keys::find_key(*opened, "other", "api-key") == nullptr);
}

TEST_CASE("a missing keystore is told from every other failure") {
  const Store store;
  const auto opened = keys::open_keystore(store.dir / "none", load(store.master()), keys::default_owners());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().kind == KeysErrorKind::missing);
}

TEST_CASE("a missing master key is not a missing keystore") {
  const auto key = keys::load_master_key({Kind::file, "/nonexistent/master.key"}, keys::default_owners());
  REQUIRE_FALSE(key);
  CHECK(key.error().kind == KeysErrorKind::io);
}

TEST_CASE("another master key is a wrong key, and the file stays untouched") {
  const Store store;
  write(store, "value");
  const std::string before = read_file(store.file());
  write_file(store.master(), keys::random_key().view());
  const auto opened = open(store);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().kind == KeysErrorKind::wrong_key);
  CHECK(opened.error().message.find("wrong master key, or the header was altered") != std::string::npos);
  const auto written = keys::update_keystore(store.file(), load(store.master()), keys::default_owners(), {}, put("x"));
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == KeysErrorKind::wrong_key);
  CHECK(read_file(store.file()) == before);
}

TEST_CASE("a keystore or master key with bits for others is refused with the line that mends it") {
  const Store store;
  for (const mode_t mode : {0644U, 0640U, 0604U, 0620U, 0602U, 0610U, 0601U}) {
    chmod(store.file().c_str(), mode);
    check_permissions(open(store), "chmod 0600 " + store.file());
  }
  chmod(store.file().c_str(), 0400);
  CHECK(open(store));
  for (const mode_t mode : {0644U, 0440U, 0700U, 0500U}) {
    chmod(store.master().c_str(), mode);
    const auto key = keys::load_master_key({Kind::file, store.master()}, keys::default_owners());
    REQUIRE_FALSE(key);
    CHECK(key.error().kind == KeysErrorKind::permissions);
    CHECK(key.error().message.find("chmod 0600 " + store.master()) != std::string::npos);
  }
  chmod(store.master().c_str(), 0400);
  CHECK(open(store));
}

TEST_CASE("a line that mends survives a file name with quotes and spaces") {
  CHECK(keys::shell_word("it's a $(file)") == "'it'\\''s a $(file)'");
  CHECK(keys::shell_word("/srv/a_b-c.1") == "/srv/a_b-c.1");
  for (const std::string text : {"", "~", "a;b", "a*", "!x", "a\nb", "ü"})
    CHECK(keys::shell_word(text) == "'" + text + "'");
}

TEST_CASE("a symbolic link, a FIFO and a directory are refused at once") {
  const Store store;
  REQUIRE(symlink(store.file().c_str(), (store.dir / "link").c_str()) == 0);
  REQUIRE(mkfifo((store.dir / "fifo").c_str(), 0600) == 0);
  REQUIRE(mkdir((store.dir / "folder").c_str(), 0700) == 0);
  for (const char* name : {"link", "fifo", "folder"}) {
    INFO(name);
    const auto opened = keys::open_keystore(store.dir / name, load(store.master()), keys::default_owners());
    REQUIRE_FALSE(opened);
    CHECK(opened.error().kind == KeysErrorKind::permissions);
    const auto key = keys::load_master_key({Kind::file, store.dir / name}, keys::default_owners());
    REQUIRE_FALSE(key);
    CHECK(key.error().kind == KeysErrorKind::permissions);
  }
}

TEST_CASE("a file of somebody else is refused, and a trusted user's file stays that user's") {
  if (geteuid() != 0) {
    WARN("only root can give files away: not tested");
    return;
  }
  const Store store;
  constexpr uid_t kSomebody = 12345;
  REQUIRE(chown(store.file().c_str(), kSomebody, kSomebody) == 0);
  check_permissions(open(store), "chown 0 " + store.file());

  // As for the service's user when root runs the tool.
  const keys::Owners with_service{{0, kSomebody}};
  REQUIRE(chmod(store.file().c_str(), 0400) == 0);
  const auto written = keys::update_keystore(store.file(), load(store.master()), with_service, {}, put("value"));
  REQUIRE(written);
  const struct stat found = status_of(store.file());
  CHECK(found.st_uid == kSomebody);
  CHECK(found.st_gid == kSomebody);
  CHECK((found.st_mode & 07777) == 0400);
}

TEST_CASE("a master key has exactly 32 bytes") {
  const TempDir dir;
  for (const std::size_t size : {0U, 31U, 33U, 64U, 5000U}) {
    write_file(dir / "key", std::string(size, 'k'));
    const auto key = keys::load_master_key({Kind::file, dir / "key"}, keys::default_owners());
    REQUIRE_FALSE(key);
    CHECK(key.error().kind == KeysErrorKind::wrong_key);
  }
}

TEST_CASE("a master key's source is exactly one, and no other is tried") {
  const auto kind = [](std::string_view text) { return keys::parse_master_key_source(text)->kind; };
  CHECK(kind("/etc/restream/master.key") == Kind::file);
  CHECK(kind("credential:master") == Kind::credential);
  CHECK(kind("passphrase") == Kind::passphrase);
  CHECK(kind("./passphrase") == Kind::file);
  for (const char* text : {"", "credential:", "credential:../x", "credential:a/b", "credential:..", "credential:."}) {
    INFO(text);
    CHECK_FALSE(keys::parse_master_key_source(text));
  }
  const auto asked = keys::load_master_key({Kind::passphrase, ""}, keys::default_owners());
  REQUIRE_FALSE(asked);
  CHECK(asked.error().kind == KeysErrorKind::usage);
}

TEST_CASE("a credential is read from systemd's directory, whatever its mode") {
  const Store store;
  const std::filesystem::path credentials = store.dir / "credentials";
  std::filesystem::create_directory(credentials);
  write_file(credentials / "master", read_file(store.master()), 0444);
  setenv("CREDENTIALS_DIRECTORY", credentials.c_str(), 1);
  const auto key = keys::load_master_key({Kind::credential, "master"}, keys::default_owners());
  const auto absent = keys::load_master_key({Kind::credential, "none"}, keys::default_owners());
  unsetenv("CREDENTIALS_DIRECTORY");
  const auto outside = keys::load_master_key({Kind::credential, "master"}, keys::default_owners());
  REQUIRE(key);
  CHECK(keys::open_keystore(store.file(), *key, keys::default_owners()));
  REQUIRE_FALSE(absent);
  CHECK(absent.error().kind == KeysErrorKind::io);
  REQUIRE_FALSE(outside);
  CHECK(outside.error().kind == KeysErrorKind::usage);
}

TEST_CASE("an edit that fails writes nothing") {
  const Store store;
  write(store, "value");
  const std::string before = read_file(store.file());
  const auto written =
      keys::update_keystore(store.file(), load(store.master()), keys::default_owners(), {},
                            [](keys::Entries& entries) -> std::expected<void, keys::KeysError> {
                              entries.clear();
                              return std::unexpected(keys::KeysError{KeysErrorKind::no_such_entry, "no"});
                            });
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == KeysErrorKind::no_such_entry);
  CHECK(read_file(store.file()) == before);
}

TEST_CASE("a writer notices that an older keystore was put in place since it looked") {
  const Store store;
  const std::string old = read_file(store.file());
  write(store, "value");
  const auto seen = keys::peek_keystore(store.file(), keys::default_owners());
  REQUIRE(seen);
  write_file(store.file(), old);
  const auto written =
      keys::update_keystore(store.file(), load(store.master()), keys::default_owners(), *seen, put("other"));
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == KeysErrorKind::rollback);
  CHECK(read_file(store.file()) == old);
}

TEST_CASE("a temporary that a killed writer left is in nobody's way") {
  const Store store;
  write_file(store.dir / ".keys.restream.tmp", "half a keystore");
  write(store, "value");
  CHECK(store.get("nyt-top", "api-key") == "value");
  CHECK(files_in(store.dir.path) ==
        std::vector<std::string>{".lock", "keys.restream", "keys.restream.audit", "master.key"});
}

TEST_CASE("a temporary that is a link to elsewhere is not followed") {
  const Store store;
  write_file(store.dir / "victim", "precious");
  REQUIRE(symlink((store.dir / "victim").c_str(), (store.dir / ".keys.restream.tmp").c_str()) == 0);
  write(store, "value");
  CHECK(read_file(store.dir / "victim") == "precious");
  CHECK(store.get("nyt-top", "api-key") == "value");
}

TEST_CASE("whoever opens next finishes a rekey that was interrupted before the key took its place") {
  const Store store;
  write(store, "value");
  const std::string old_key = read_file(store.master());
  REQUIRE(keys::rekey_keystore(store.file(), load(store.master()), keys::default_owners(), {}, {}));
  const std::string new_key = read_file(store.master());
  CHECK(new_key != old_key);
  // As it is between the two renames.
  write_file(store.master() + ".new", new_key);
  write_file(store.master(), old_key);

  SECTION("a reader") {
    CHECK(store.get("nyt-top", "api-key") == "value");
    CHECK(read_file(store.master()) == new_key);
    CHECK_FALSE(std::filesystem::exists(store.master() + ".new"));
  }
  SECTION("a writer") {
    write(store, "later");
    CHECK(read_file(store.master()) == new_key);
    CHECK(store.get("nyt-top", "api-key") == "later");
  }
  SECTION("another rekey") {
    REQUIRE(keys::rekey_keystore(store.file(), load(store.master()), keys::default_owners(), {}, {}));
    CHECK(read_file(store.master()) != new_key);
    CHECK(store.get("nyt-top", "api-key") == "value");
  }
  SECTION("a reader while somebody writes opens it, and leaves the finishing to others") {
    const auto lock = keys::StoreLock::take(store.file(), std::chrono::milliseconds(0));
    REQUIRE(lock);
    CHECK(store.get("nyt-top", "api-key") == "value");
    CHECK(read_file(store.master()) == old_key);
  }
}

TEST_CASE("the key of a rekey that got no further is of no account") {
  const Store store;
  write(store, "value");
  write_file(store.master() + ".new", keys::random_key().view().substr(0, 20));
  CHECK(store.get("nyt-top", "api-key") == "value");
  write_file(store.master() + ".new", keys::random_key().view());
  CHECK(store.get("nyt-top", "api-key") == "value");
  REQUIRE(keys::rekey_keystore(store.file(), load(store.master()), keys::default_owners(), {}, {}));
  CHECK(store.get("nyt-top", "api-key") == "value");
  CHECK_FALSE(std::filesystem::exists(store.master() + ".new"));
}

TEST_CASE("a key that was read before a rekey still leads to the keystore after it") {
  const Store store;
  write(store, "value");
  const keys::MasterKey before = load(store.master());
  REQUIRE(keys::rekey_keystore(store.file(), load(store.master()), keys::default_owners(), {}, {}));
  const auto opened = keys::open_keystore(store.file(), before, keys::default_owners());
  REQUIRE(opened);
  CHECK(keys::find_key(*opened, "nyt-top", "api-key")->view() == "value");
}

}  // namespace keys_test
