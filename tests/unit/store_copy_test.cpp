// Copies of the state that are made beside its use.
#include <sqlite3.h>

#include <fstream>

#include "store_support.hpp"

using namespace store_support;  // NOLINT: tests
namespace fs = std::filesystem;

namespace {

// 4 KB of text that no two items share.
PollWrite large_poll(const std::string& channel, std::uint64_t after, const std::string& id) {
  PollWrite write = poll(channel, after, {id});
  write.items[0].item = "\"" + id + std::string(4000, 'x') + "\"";
  return write;
}

fs::path folder(const TemporaryDirectory& directory, const char* name) {
  fs::create_directory(directory.path() / name);
  fs::permissions(directory.path() / name, fs::perms::owner_all);
  return directory.path() / name;
}

// Starts from a copy as an operator does: its files alone, in a directory of their own.
std::unique_ptr<Store> restore(const fs::path& copy, const fs::path& to) {
  fs::copy_file(copy / "restream.db", to / "restream.db", fs::copy_options::overwrite_existing);
  return open(to);
}

}  // namespace

TEST_CASE("A copy holds what was committed before its last step, and commits go on between the steps") {
  const TemporaryDirectory directory;
  const auto store = open(folder(directory, "state"));
  const fs::path to = folder(directory, "backup");
  std::uint64_t written = 0;
  const auto write = [&] {
    commit(*store, large_poll("c", written, "item-" + std::to_string(written)));
    ++written;
  };
  while (written < 3000) write();
  const auto copy = store->copy(to);
  int steps = 1;
  for (; !copy->step(); ++steps) {
    CHECK_FALSE(fs::exists(to / "restream.db"));
    write();
  }
  CHECK(steps > 2);
  const auto copied = restore(to, folder(directory, "restored"));
  REQUIRE(copied->channel("c"));
  CHECK(copied->channel("c")->head.offset == written);
  const auto states = copied->item_states("c");
  CHECK(states.size() == written);
  const std::string last = "item-" + std::to_string(written - 1);
  CHECK(copied->items("c", std::vector{last}).at(last) == store->items("c", std::vector{last}).at(last));
  write();
  CHECK(store->channel("c")->head.offset == written);
}

TEST_CASE("Whoever starts from a copy has other epochs, each time, and keeps them from then on") {
  const TemporaryDirectory directory;
  const auto store = open(folder(directory, "state"));
  const fs::path to = folder(directory, "backup");
  commit(*store, poll("c", 0, {"a", "b"}));
  while (!store->copy(to)->step()) FAIL("so little is one step");
  CHECK(store->channel("c")->head == Position{.epoch = 7, .offset = 2});

  const fs::path first = folder(directory, "first");
  const std::uint64_t epoch = restore(to, first)->channel("c")->head.epoch;
  CHECK(epoch != 7);
  const auto again = open(first);
  CHECK(again->channel("c")->head == Position{.epoch = epoch, .offset = 2});
  CHECK(again->events("c", {.epoch = epoch, .offset = 0}, 1000)->size() == 2);
  CHECK(restore(to, folder(directory, "second"))->channel("c")->head.epoch != epoch);
}

TEST_CASE("A copy is one file of its owner, and replaces the one before it") {
  const TemporaryDirectory directory;
  const auto store = open(folder(directory, "state"));
  const fs::path to = folder(directory, "backup");
  commit(*store, poll("c", 0, {"a"}));
  REQUIRE(store->copy(to)->step());
  commit(*store, poll("c", 1, {"b"}));
  REQUIRE(store->copy(to)->step());
  CHECK(std::distance(fs::directory_iterator(to), {}) == 1);
  CHECK(fs::status(to / "restream.db").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(restore(to, folder(directory, "restored"))->channel("c")->head.offset == 2);
}

TEST_CASE("A copy that is given up leaves nothing behind and the one before it alone, even after its store") {
  const TemporaryDirectory directory;
  auto store = open(folder(directory, "state"));
  const fs::path to = folder(directory, "backup");
  for (std::uint64_t i = 0; i < 2000; ++i) commit(*store, large_poll("c", i, "item-" + std::to_string(i)));
  std::ofstream(to / "restream.db") << "before";
  auto copy = store->copy(to);
  REQUIRE_FALSE(copy->step());
  store.reset();
  copy.reset();
  CHECK(std::distance(fs::directory_iterator(to), {}) == 1);
  CHECK(fs::file_size(to / "restream.db") == 6);
}

TEST_CASE("A copy that is put back beside the log of another is refused, and works once that is gone") {
  const TemporaryDirectory directory;
  const fs::path state = folder(directory, "state");
  const fs::path to = folder(directory, "backup");
  const fs::path restored = folder(directory, "restored");
  {
    const auto store = open(state);
    commit(*store, poll("c", 0, {"a"}));
    REQUIRE(store->copy(to)->step());
    commit(*store, poll("c", 1, {"b"}));
    fs::copy_file(state / "restream.db-wal", restored / "restream.db-wal");
  }
  fs::copy_file(to / "restream.db", restored / "restream.db");
  const auto refused = open_sqlite_store(restored);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == StoreOpenError::Kind::damaged);
  CHECK_THAT(refused.error().message, Catch::Contains("restream.db-wal of another"));
  fs::remove(restored / "restream.db-wal");
  CHECK(open(restored)->channel("c")->head.offset == 1);
}

TEST_CASE("A copy that cannot be written says where and why") {
  const TemporaryDirectory directory;
  const auto store = open(folder(directory, "state"));
  CHECK_THROWS_WITH(store->copy(directory.path() / "nowhere"),
                    Catch::Contains("nowhere/restream.db.new") && Catch::Contains("No such file"));
}
