// A full disk, and a file that must not grow for ever.
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "store_support.hpp"

using namespace store_support;  // NOLINT: tests
namespace fs = std::filesystem;

namespace {

PollWrite large_poll(std::uint64_t after, std::size_t bytes) {
  PollWrite write = poll("c", after, {"item" + std::to_string(after % 40)});
  write.items[0].item = "{\"x\":\"" + std::string(bytes, 'x') + "\"}";
  return write;
}

// Commits until one fails; then checks that nothing of that one is there, and what was there before is.
std::uint64_t fill(Store& store, std::string& message) {
  std::uint64_t offset = store.channel("c") ? store.channel("c")->head.offset : 0;
  for (int i = 0; i < 2000; ++i) {
    try {
      commit(store, large_poll(offset, 20'000));
      ++offset;
    } catch (const StoreError& error) {
      message = error.what();
      return offset;
    }
  }
  return 0;  // it never failed
}

bool whole(Store& store, std::uint64_t offset) {
  const auto events = store.events("c", {.epoch = 7, .offset = 0}, 1U << 30U);
  return store.channel("c")->head.offset == offset && events && events->size() == offset &&
         store.snapshot("c")->items.size() == 1;
}

struct Unmount {
  const fs::path& path;
  ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
};

}  // namespace

TEST_CASE("A write that the system refuses fails alone, and the store works on when there is room again") {
  const TemporaryDirectory directory;
  // In a child, as the limit on file sizes is one of the whole process.
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto store = open(directory.path());
    rlimit limit{.rlim_cur = 600'000, .rlim_max = RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::string message;
    const std::uint64_t offset = fill(*store, message);
    if (offset == 0 || message.find("SQLite code") == std::string::npos) ::_exit(1);
    if (!whole(*store, offset)) ::_exit(2);
    limit.rlim_cur = RLIM_INFINITY;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    commit(*store, large_poll(offset, 20'000));
    if (!whole(*store, offset + 1)) ::_exit(3);
    store.reset();
    store = open(directory.path());
    ::_exit(whole(*store, offset + 1) ? 0 : 4);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("A full disk fails one commit after the other until there is room again") {
  const TemporaryDirectory directory;
  const fs::path disk = directory.path() / "disk";
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=2m") != 0) {
    WARN("no right to mount a file system here; skipped");
    return;
  }
  const Unmount unmount{disk};
  {
    std::ofstream(disk / "ballast") << std::string(1'000'000, 'x');
    auto store = open(disk);
    std::string message;
    const std::uint64_t offset = fill(*store, message);
    CHECK(offset > 0);
    CHECK(message.find("full") != std::string::npos);
    CHECK(whole(*store, offset));
    CHECK_THROWS_AS(commit(*store, large_poll(offset, 500'000)), StoreError);
    CHECK(whole(*store, offset));
    fs::remove(disk / "ballast");
    commit(*store, large_poll(offset, 20'000));
    CHECK(whole(*store, offset + 1));
    store.reset();
    store = open(disk);
    CHECK(whole(*store, offset + 1));
  }
}

TEST_CASE("The file stays as large as what is in it") {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "restream.db";
  auto store = open(directory.path());
  const Trim trim{.keep = 20, .older_than = {}, .young = WallTime::max(), .now = at(0)};
  const auto turn = [&](std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t i = from; i < to; ++i) {
      PollWrite write = large_poll(i, 20'000);
      write.trim = trim;
      commit(*store, write);
    }
  };
  turn(0, 100);
  store.reset();
  const auto before = fs::file_size(path);
  store = open(directory.path());
  turn(100, 1000);
  store.reset();
  CHECK(fs::file_size(path) < before + before / 2);

  // What a large channel leaves behind is given back in time.
  store = open(directory.path());
  std::vector<Write> many;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    PollWrite write = poll("large", i, {std::to_string(i)});
    write.items[0].item = std::string(10'000, 'y');
    many.emplace_back(write);
  }
  store->commit(many);
  commit(*store, ForgetWrite{"large"});
  store.reset();
  CHECK(fs::file_size(path) > 20'000'000);
  store = open(directory.path());
  for (int i = 0; i < 640; ++i) commit(*store, ScheduleWrite{.channel = "c", .epoch = 7, .schedule = {}});
  store.reset();
  CHECK(fs::file_size(path) < 4'000'000);
}
