// The plugins directory over time: a real directory and real inotify events, which are read when the test says so, and
// a clock that it moves.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fake_core.hpp"
#include "fetch/plugin_directory.hpp"

using namespace restream;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct Followed {
  Followed() {
    std::string name = (fs::temp_directory_path() / "restream-directory-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
    chmod(path.c_str(), 0755);
    directory.emplace(
        PluginDirectory::Surroundings{.io = io, .loop = core.loop(), .clock = core.clock(), .log = Log::none()}, path,
        [this](const FileAction& action) { actions.push_back(action); });
    directory->start();
  }
  ~Followed() { fs::remove_all(path); }
  Followed(const Followed&) = delete;
  Followed& operator=(const Followed&) = delete;

  void write(const std::string& name) const {
    std::ofstream(path / name) << "bytes";
    chmod((path / name).c_str(), 0644);
  }
  void take_events() {
    if (io.stopped()) io.restart();
    io.poll();
  }
  std::vector<FileAction> after(Millis time) {
    core.advance(time);
    return std::exchange(actions, {});
  }

  boost::asio::io_context io;
  FakeCore core;
  fs::path path;
  std::vector<FileAction> actions;
  std::optional<PluginDirectory> directory;
};

using Actions = std::vector<FileAction>;
using Kind = FileAction::Kind;

constexpr Millis gathered = 20ms;          // after the first event
constexpr Millis quiet = 1100ms;           // of a file whose writer is not known to have finished
constexpr Millis quiet_when_done = 250ms;  // of one whose writer has
const Actions nothing;
const Actions add_news{{Kind::add, "news", ""}};

}  // namespace

TEST_CASE("a file of which an event tells is added at once") {
  Followed followed;
  followed.write("news.so");
  followed.take_events();
  CHECK(followed.after(gathered + quiet_when_done) == add_news);
}

TEST_CASE("files of which no event tells are found by looking every 60 seconds") {
  Followed followed;
  followed.core.advance(10s);
  followed.write("news.so");
  CHECK(followed.after(50s + quiet - 1ms) == nothing);
  CHECK(followed.after(1ms) == add_news);
  fs::remove(followed.path / "news.so");
  CHECK(followed.after(60s + quiet) == Actions{{Kind::remove, "news", ""}});
  followed.write("news.so");
  CHECK(followed.after(60s + quiet) == add_news);
}

TEST_CASE("when there were too many events for the kernel to keep, everything is looked at anew") {
  std::size_t most = 0;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> most;
  REQUIRE(most > 0);
  REQUIRE(most < 1'000'000);
  Followed followed;
  // In turn, because the same event twice in a row is one.
  followed.write("one.txt");
  followed.write("other.txt");
  followed.take_events();
  CHECK(followed.after(1s) == nothing);
  const fs::path one = followed.path / "one.txt";
  const fs::path other = followed.path / "other.txt";
  for (std::size_t i = 0; i < most; ++i) chmod((i % 2 == 0 ? one : other).c_str(), 0644);
  followed.write("news.so");
  followed.take_events();
  // Nothing told of the end of its copy: that event was lost.
  CHECK(followed.after(gathered + quiet - 1ms) == nothing);
  CHECK(followed.after(1ms) == add_news);
}
