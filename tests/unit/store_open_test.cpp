// Opening the SQLite store: who may, and which files are refused.
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>

#include "store/schema.hpp"
#include "store_support.hpp"

using namespace store_support;  // NOLINT: tests
namespace fs = std::filesystem;

namespace {

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void run_sql(const fs::path& path, const std::string& sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  CHECK(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

// A file with some weight, closed cleanly.
fs::path make_file(const fs::path& directory) {
  const auto store = open(directory);
  for (std::uint64_t i = 0; i < 50; ++i) {
    PollWrite write = poll("c", i, {std::to_string(i)});
    write.items[0].item = "{\"x\":\"" + std::string(3000, 'x') + "\"}";
    commit(*store, write);
  }
  return directory / "restream.db";
}

// Refused with that kind and words, and every file is as it was.
void refuses(const fs::path& directory, StoreOpenError::Kind kind, const std::string& words) {
  const std::string before = bytes_of(directory / "restream.db");
  const std::string log = bytes_of(directory / "restream.db-wal");
  const auto store = open_sqlite_store(directory);
  REQUIRE_FALSE(store);
  CHECK(store.error().kind == kind);
  INFO(store.error().message);
  CHECK(store.error().message.find(words) != std::string::npos);
  CHECK(store.error().message.find(directory.string()) != std::string::npos);
  CHECK(bytes_of(directory / "restream.db") == before);
  CHECK(bytes_of(directory / "restream.db-wal") == log);
}

using Kind = StoreOpenError::Kind;

}  // namespace

TEST_CASE("The state directory is made for its owner alone") {
  const TemporaryDirectory parent;
  const fs::path directory = parent.path() / "deep" / "state";
  const auto store = open(directory);
  struct stat status{};
  REQUIRE(::stat(directory.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0700U);
  for (const char* name : {"restream.db", "lock"}) {
    REQUIRE(::stat((directory / name).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0600U);
  }
}

TEST_CASE("A second opener is refused and told the pid of the first") {
  const TemporaryDirectory directory;
  const auto store = open(directory.path());
  refuses(directory.path(), Kind::in_use, "process " + std::to_string(::getpid()) + ";");
}

TEST_CASE("Another process that holds the directory is named, and when it is killed the directory is free") {
  const TemporaryDirectory directory;
  std::array<int, 2> ready{};
  REQUIRE(::pipe(ready.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto store = open_sqlite_store(directory.path());
    [[maybe_unused]] const ssize_t written = ::write(ready[1], store ? "y" : "n", 1);
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  REQUIRE(::read(ready[0], &answer, 1) == 1);
  REQUIRE(answer == 'y');
  refuses(directory.path(), Kind::in_use, "process " + std::to_string(child) + ";");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(open_sqlite_store(directory.path()));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("A file that another program holds open is not fought over") {
  const TemporaryDirectory directory;
  const fs::path path = make_file(directory.path());
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  const auto store = open_sqlite_store(directory.path());
  REQUIRE_FALSE(store);
  CHECK(store.error().kind == Kind::in_use);
  sqlite3_close(other);
  CHECK(open_sqlite_store(directory.path()));
}

TEST_CASE("A damaged file is refused and kept") {
  const TemporaryDirectory directory;
  const fs::path path = make_file(directory.path());
  const std::string whole = bytes_of(path);
  REQUIRE(whole.size() > 100'000);
  SECTION("cut in half") { write_bytes(path, whole.substr(0, whole.size() / 2)); }
  SECTION("cut to nothing") { write_bytes(path, ""); }
  SECTION("with a header of something else") { write_bytes(path, "<!doctype html>" + whole.substr(15)); }
  SECTION("no database at all") { write_bytes(path, std::string(5000, 'x')); }
  SECTION("a few bytes") { write_bytes(path, "hello"); }
  SECTION("with a page overwritten") {
    std::string torn = whole;
    torn.replace(2 * 4096, 4096, std::string(4096, '\x5a'));
    write_bytes(path, torn);
  }
  SECTION("with another page overwritten") {
    std::string torn = whole;
    torn.replace(whole.size() / 2 / 4096 * 4096, 4096, std::string(4096, '\x5a'));
    write_bytes(path, torn);
  }
  SECTION("gone, with its log still there") {
    fs::remove(path);
    write_bytes(path.string() + "-wal", "x");
  }
  refuses(directory.path(), Kind::damaged, "restream.db");
}

TEST_CASE("A damaged file keeps its log too") {
  const TemporaryDirectory directory;
  const fs::path copy = directory.path() / "copy";
  fs::create_directory(copy);
  {
    const auto store = open(directory.path());
    commit(*store, poll("c", 0, {"a"}));
    // As a kill would leave them: the last commits are in the log only.
    fs::copy_file(directory.path() / "restream.db-wal", copy / "restream.db-wal");
    fs::copy_file(directory.path() / "restream.db", copy / "restream.db");
  }
  REQUIRE(fs::file_size(copy / "restream.db-wal") > 0);
  SECTION("whole, the log is taken up") { CHECK(open(copy)->channel("c")->head.offset == 1); }
  SECTION("newer, it stays as it is") {
    std::string bytes = bytes_of(copy / "restream.db");
    bytes.replace(0, 16, "not a database..");
    write_bytes(copy / "restream.db", bytes);
    refuses(copy, Kind::damaged, "is left as it is");
  }
}

TEST_CASE("A file of a newer restream is refused and kept") {
  const TemporaryDirectory directory;
  run_sql(make_file(directory.path()), "PRAGMA user_version=1000");
  refuses(directory.path(), Kind::damaged, "newer restream (schema 1000");
}

TEST_CASE("A database of another program is refused and kept") {
  const TemporaryDirectory directory;
  run_sql(directory.path() / "restream.db", "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
  refuses(directory.path(), Kind::damaged, "another program");
}

TEST_CASE("A file that is a link is used where it is, and is not made anew when the link leads nowhere") {
  const TemporaryDirectory directory;
  const TemporaryDirectory disk;
  make_file(directory.path());
  fs::rename(directory.path() / "restream.db", disk.path() / "state.db");
  fs::create_symlink(disk.path() / "state.db", directory.path() / "restream.db");
  CHECK_FALSE(open(directory.path())->channels().empty());
  fs::rename(disk.path() / "state.db", disk.path() / "away");  // as when the disk is not mounted
  const auto store = open_sqlite_store(directory.path());
  REQUIRE_FALSE(store);
  CHECK(store.error().kind == Kind::damaged);
  CHECK(store.error().message.find("a link to a file that is not there") != std::string::npos);
  CHECK(fs::is_symlink(directory.path() / "restream.db"));
  CHECK_FALSE(fs::exists(disk.path() / "state.db"));
}

TEST_CASE("What a broken start left behind does not stop the next one") {
  const TemporaryDirectory directory;
  write_bytes(directory.path() / "restream.db.new", "half a file");
  write_bytes(directory.path() / "lock", "999999999\n");
  const auto store = open(directory.path());
  CHECK(store->channels().empty());
  CHECK_FALSE(fs::exists(directory.path() / "restream.db.new"));
  CHECK(bytes_of(directory.path() / "lock") == std::to_string(::getpid()) + "\n");
}

TEST_CASE("A directory that cannot be used is said to be so") {
  const TemporaryDirectory directory;
  write_bytes(directory.path() / "file", "");
  const auto store = open_sqlite_store(directory.path() / "file");
  REQUIRE_FALSE(store);
  CHECK(store.error().kind == Kind::io);
  fs::create_directory(directory.path() / "restream.db");
  REQUIRE_FALSE(open_sqlite_store(directory.path()));
}

TEST_CASE("A closed store leaves one whole file and no log") {
  const TemporaryDirectory directory;
  make_file(directory.path());
  CHECK_FALSE(fs::exists(directory.path() / "restream.db-wal"));
  CHECK_FALSE(fs::exists(directory.path() / "restream.db-shm"));
}

TEST_CASE("Older schemas are brought up step by step, and a step that fails leaves the version before it") {
  const TemporaryDirectory directory;
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open((directory.path() / "x.db").c_str(), &database) == SQLITE_OK);
  const std::array<const char*, 3> steps = {"CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y DEFAULT 5",
                                            "CREATE TABLE b (x); DROP TABLE nothing"};
  migrate(database, 0, std::span(steps).first(1));
  REQUIRE(sqlite3_exec(database, "INSERT INTO a VALUES (1)", nullptr, nullptr, nullptr) == SQLITE_OK);
  CHECK_THROWS_AS(migrate(database, 1, steps), StoreError);
  const auto number = [&](const char* sql) {
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    const int value = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return value;
  };
  CHECK(number("PRAGMA user_version") == 2);
  CHECK(number("SELECT y FROM a") == 5);
  CHECK(number("SELECT count(*) FROM sqlite_master WHERE name = 'b'") == 0);
  sqlite3_close(database);
}

TEST_CASE("Events of before there were undos have none, and the channel says from where on they do") {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "restream.db";
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  migrate(database, 0, schema_migrations().first(2));
  sqlite3_close(database);
  run_sql(path, "PRAGMA application_id=" + std::to_string(application_id) +
                    ";INSERT INTO channel (id, epoch, head, first, items, failures, last_demand) "
                    "VALUES ('old', 7, 2, 1, 0, 0, 0)"
                    ";INSERT INTO event VALUES (1, 1, 0, 1, 'a', '{}', ''), (1, 2, 0, 3, 'a', '', '')");
  {
    const auto store = open(directory.path());
    CHECK(store->channel("old")->undoable == 3);
    CHECK(store->channel("old")->schedule.refused_keys == 0);
    PollWrite write = poll("old", 2, {"b"});
    write.events = std::make_shared<EventBatch>(
        EventBatch{.after = 2,
                   .events = {{.offset = 3, .time = at(0), .change = {ChangeKind::removed_item, "b", "", "", "{1}"}}}});
    commit(*store, write);
    commit(*store, poll("fresh", 0, {"c"}));
  }
  const auto store = open(directory.path());
  CHECK(store->channel("old")->undoable == 3);
  CHECK(store->channel("fresh")->undoable == 1);
  const auto events = store->events("old", {.epoch = 7, .offset = 0}, 1000).value();
  REQUIRE(events.size() == 3);
  CHECK(events[0].change.item == "{}");
  CHECK(events[1].change.undo.empty());
  CHECK(events[2].change.undo == "{1}");
}
