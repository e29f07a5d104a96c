#include <catch2/catch.hpp>

#include "fetch/plugin_files.hpp"

using namespace restream;
using namespace std::chrono_literals;

namespace {

using Actions = std::vector<FileAction>;
using Kind = FileAction::Kind;

// A plugins directory that the test plays, and what was decided about it so far.
struct Folder {
  Folder() { there.listed = true; }

  // A file appears, or changes.
  void put(const std::string& name, std::string problem = {}) {
    drop(name);
    there.files.push_back({.name = name, .stamp = {.inode = ++stamps}, .problem = std::move(problem)});
  }
  void drop(const std::string& name) {
    std::erase_if(there.files, [&](const SeenFile& file) { return file.name == name; });
  }

  Actions look(const std::set<std::string>& finished = {}, bool starting = false) {
    Decision decision = decide(std::move(known), there, finished, now, starting);
    known = std::move(decision.known);
    again = decision.look_again;
    return std::move(decision.actions);
  }
  Actions look_after(Millis time, const std::set<std::string>& finished = {}) {
    now += time;
    return look(finished);
  }

  DirectoryView there;
  KnownFiles known;
  SteadyTime now{1h};
  std::optional<SteadyTime> again;
  std::uint64_t stamps = 0;
};

const Actions nothing;

}  // namespace

TEST_CASE("at the start every file is added at once, or refused, by name") {
  Folder folder;
  folder.put("beta", "it is a FIFO");
  folder.put("alpha");
  CHECK(folder.look({}, true) == Actions{{Kind::add, "alpha", ""}, {Kind::refuse, "beta", "it is a FIFO"}});
  CHECK_FALSE(folder.again);
  CHECK(folder.look_after(1min) == nothing);
}

TEST_CASE("a file whose writer has finished is added after a moment of quiet") {
  Folder folder;
  folder.put("news");
  CHECK(folder.look() == nothing);
  CHECK(folder.look_after(10ms, {"news"}) == nothing);
  REQUIRE(folder.again);
  CHECK(*folder.again - folder.now < 250ms);
  folder.now = *folder.again;
  CHECK(folder.look() == Actions{{Kind::add, "news", ""}});
}

TEST_CASE("a file that is still written to is left alone until it has been quiet for over a second") {
  Folder folder;
  for (int piece = 0; piece < 20; ++piece) {
    folder.put("news");
    CHECK(folder.look_after(999ms) == nothing);
  }
  CHECK(folder.look_after(999ms) == nothing);
  CHECK(folder.look_after(101ms) == Actions{{Kind::add, "news", ""}});
}

TEST_CASE("a change is a replacement, and the same file seen again is nothing") {
  Folder folder;
  folder.put("news");
  folder.look({}, true);
  CHECK(folder.look_after(1min, {"news"}) == nothing);
  folder.put("news");
  CHECK(folder.look({"news"}) == nothing);
  CHECK(folder.look_after(250ms) == Actions{{Kind::replace, "news", ""}});
  CHECK(folder.look_after(1min) == nothing);
}

TEST_CASE("a file that is gone is removed after a moment, and added when it is back") {
  Folder folder;
  folder.put("news");
  folder.look({}, true);
  folder.drop("news");
  CHECK(folder.look() == nothing);
  CHECK(folder.look_after(250ms) == Actions{{Kind::remove, "news", ""}});
  CHECK(folder.look_after(1min) == nothing);
  folder.put("news");
  CHECK(folder.look({"news"}) == nothing);
  CHECK(folder.look_after(250ms) == Actions{{Kind::add, "news", ""}});
}

TEST_CASE("a file that was away for a moment is nothing, or a replacement when it is another one") {
  Folder folder;
  folder.put("news");
  folder.look({}, true);
  const DirectoryView before = folder.there;
  folder.drop("news");
  CHECK(folder.look() == nothing);
  SECTION("the same") {
    folder.there = before;
    CHECK(folder.look_after(100ms, {"news"}) == nothing);
    CHECK(folder.look_after(2s) == nothing);
  }
  SECTION("another") {
    folder.put("news");
    CHECK(folder.look_after(100ms, {"news"}) == nothing);
    CHECK(folder.look_after(250ms) == Actions{{Kind::replace, "news", ""}});
  }
}

TEST_CASE("a file that came and went before it was taken was never there") {
  Folder folder;
  folder.put("news");
  CHECK(folder.look() == nothing);
  folder.drop("news");
  CHECK(folder.look_after(100ms) == nothing);
  CHECK(folder.look_after(2s) == nothing);
  CHECK(folder.known.empty());
}

TEST_CASE("what loading ended with is told once, when the file has been quiet for long enough") {
  Folder folder;
  folder.put("news");
  folder.look({"news"});
  CHECK(folder.look_after(250ms) == Actions{{Kind::add, "news", ""}});
  const auto due = remember_verdict(folder.known, "news", "cut short");
  REQUIRE(due);
  CHECK(*due == folder.now + 850ms);
  CHECK(folder.look() == nothing);
  SECTION("it stays as it is") {
    folder.now = *due;
    CHECK(folder.look() == Actions{{Kind::refuse, "news", "cut short"}});
    CHECK(folder.look_after(1min) == nothing);
  }
  SECTION("the copy goes on: nobody hears of the piece") {
    folder.put("news");
    CHECK(folder.look_after(500ms, {"news"}) == nothing);
    CHECK(folder.look_after(250ms) == Actions{{Kind::replace, "news", ""}});
    CHECK(folder.look_after(2s) == nothing);
  }
}

TEST_CASE("a verdict on a file that has changed since counts for nothing") {
  Folder folder;
  folder.put("news");
  folder.look({}, true);
  folder.put("news");
  folder.look();
  CHECK_FALSE(remember_verdict(folder.known, "news", "cut short"));
  CHECK_FALSE(remember_verdict(folder.known, "unheard-of", "cut short"));
}

TEST_CASE("a refused file is tried again when it changes, and when only what was wrong with it does") {
  Folder folder;
  folder.put("news", "it may be written to by its group");
  folder.look({}, true);
  folder.there.files[0].problem.clear();
  CHECK(folder.look() == nothing);
  CHECK(folder.look_after(1100ms) == Actions{{Kind::replace, "news", ""}});
  folder.put("news", "it is a symbolic link");
  CHECK(folder.look({"news"}) == nothing);
  CHECK(folder.look_after(1100ms) == Actions{{Kind::refuse, "news", "it is a symbolic link"}});
}

TEST_CASE("a directory that others may write to refuses every file, and lets them all in when that is mended") {
  Folder folder;
  folder.put("alpha");
  folder.put("beta", "it is a FIFO");
  folder.there.problem = "the plugins directory may be written to by everybody";
  CHECK(folder.look({}, true) ==
        Actions{{Kind::refuse, "alpha", folder.there.problem}, {Kind::refuse, "beta", folder.there.problem}});
  folder.there.problem.clear();
  folder.look();
  CHECK(folder.look_after(1100ms) == Actions{{Kind::replace, "alpha", ""}, {Kind::refuse, "beta", "it is a FIFO"}});
}

TEST_CASE("a directory that is gone takes its files with it; one that cannot be read changes nothing") {
  Folder folder;
  folder.put("news");
  folder.look({}, true);
  SECTION("gone") {
    folder.there.files.clear();
    folder.look();
    CHECK(folder.look_after(250ms) == Actions{{Kind::remove, "news", ""}});
  }
  SECTION("unreadable") {
    folder.there = {.listed = false, .problem = "cannot be read: Permission denied", .files = {}};
    CHECK(folder.look_after(1min) == nothing);
    CHECK(folder.known.contains("news"));
  }
}
