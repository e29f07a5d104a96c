// Real files and real inotify events.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "fetch/directory_watch.hpp"
#include "fetch/kept_plugin.hpp"
#include "fetch/plugin_scan.hpp"

using namespace restream;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct TemporaryFolder {
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "restream-scan-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = fs::path(name) / "plugins";
    fs::create_directory(path);
    chmod(path.c_str(), 0755);
  }
  ~TemporaryFolder() { fs::remove_all(path.parent_path()); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  void write(const std::string& name, mode_t mode = 0644) const {
    std::ofstream(path / name) << "bytes";
    chmod((path / name).c_str(), mode);
  }
  // The problem of one file; "not there" when it is not listed.
  [[nodiscard]] std::string problem(const std::string& name, uid_t self = geteuid()) const {
    const DirectoryView view = scan_plugins(path, self);
    REQUIRE(view.listed);
    for (const SeenFile& file : view.files)
      if (file.name == name) return file.problem;
    return "not there";
  }

  fs::path path;
};

bool says(const std::string& problem, const std::string& words) {
  INFO(problem);
  return problem.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("plain files that only their owner writes to are fine; other names are nobody's") {
  const TemporaryFolder folder;
  folder.write("news.so");
  folder.write("notes.txt");
  folder.write(".news.so");
  folder.write("news.so.part");
  const DirectoryView view = scan_plugins(folder.path, geteuid());
  REQUIRE(view.listed);
  CHECK(view.problem.empty());
  REQUIRE(view.files.size() == 1);
  CHECK(view.files[0].name == "news");
  CHECK(view.files[0].problem.empty());
}

TEST_CASE("what is no regular file is refused by what it is, and is not opened") {
  const TemporaryFolder folder;
  folder.write("target.so");
  fs::create_symlink("target.so", folder.path / "link.so");
  fs::create_directory(folder.path / "folder.so");
  REQUIRE(mkfifo((folder.path / "pipe.so").c_str(), 0644) == 0);
  CHECK(says(folder.problem("link"), "a symbolic link"));
  CHECK(says(folder.problem("folder"), "a directory"));
  CHECK(says(folder.problem("pipe"), "a FIFO"));
  CHECK(folder.problem("target").empty());
}

TEST_CASE("files that somebody else could change are refused") {
  const TemporaryFolder folder;
  folder.write("group.so", 0664);
  folder.write("world.so", 0646);
  folder.write("mine.so");
  CHECK(says(folder.problem("group"), "its group"));
  CHECK(says(folder.problem("world"), "everybody"));
  CHECK(folder.problem("mine").empty());
  if (geteuid() != 0) return;  // only root can give a file away
  REQUIRE(chown((folder.path / "mine.so").c_str(), 12345, 12345) == 0);
  CHECK(says(folder.problem("mine"), "belongs to user 12345"));
  CHECK(folder.problem("mine", 12345).empty());
}

TEST_CASE("a directory that somebody else could change is named") {
  const TemporaryFolder folder;
  folder.write("news.so");
  chmod(folder.path.c_str(), 0775);
  CHECK(says(scan_plugins(folder.path, geteuid()).problem, "the plugins directory may be written to by its group"));
  chmod(folder.path.c_str(), 0757);
  CHECK(says(scan_plugins(folder.path, geteuid()).problem, "by everybody"));
  chmod(folder.path.c_str(), 0755);
  CHECK(scan_plugins(folder.path, geteuid()).problem.empty());
}

TEST_CASE("a name that no fetcher can have is refused") {
  const TemporaryFolder folder;
  folder.write("News Feed.so");
  CHECK(says(folder.problem("News Feed"), "named after its fetcher"));
}

TEST_CASE("a missing directory has no files, and says so") {
  const TemporaryFolder folder;
  const DirectoryView view = scan_plugins(folder.path / "none", geteuid());
  CHECK(view.listed);
  CHECK(view.files.empty());
  CHECK(says(view.problem, "No such file"));
  folder.write("a-file");
  CHECK_FALSE(scan_plugins(folder.path / "a-file", geteuid()).listed);
}

TEST_CASE("a stamp changes with the bytes, the mode and the file behind the name") {
  const TemporaryFolder folder;
  const auto stamp = [&] { return scan_plugins(folder.path, geteuid()).files.at(0).stamp; };
  const auto a_tick = [] { usleep(20'000); };  // file times move in steps of the kernel's clock
  folder.write("news.so");
  const FileStamp first = stamp();
  CHECK(stamp() == first);
  a_tick();
  folder.write("news.so");
  const FileStamp rewritten = stamp();
  CHECK(rewritten != first);
  a_tick();
  chmod((folder.path / "news.so").c_str(), 0600);
  CHECK(stamp() != rewritten);
  folder.write("other");
  fs::rename(folder.path / "other", folder.path / "news.so");
  CHECK(stamp().inode != rewritten.inode);
}

TEST_CASE("a watch tells of files that are written, moved and gone, and of a directory that is another one") {
  const TemporaryFolder folder;
  boost::asio::io_context io;
  std::vector<std::set<std::string>> heard;
  DirectoryWatch watch(io, [&](std::set<std::string> finished) { heard.push_back(std::move(finished)); });
  const auto listen = [&] {
    heard.clear();
    io.restart();
    io.run_one_for(10s);  // on a busy machine 50 ms may be over before the first look
    io.run_for(50ms);
    std::set<std::string> all;
    for (const auto& finished : heard) all.insert(finished.begin(), finished.end());
    return all;
  };
  REQUIRE(watch.aim(folder.path).empty());
  folder.write("news.so");
  CHECK(listen() == std::set<std::string>{"news.so"});
  fs::rename(folder.path / "news.so", folder.path / "more.so");
  CHECK(listen() == std::set<std::string>{"more.so"});
  {
    std::ofstream open(folder.path / "open.so");
    open << "half" << std::flush;
    CHECK(listen().empty());
    CHECK_FALSE(heard.empty());
  }
  CHECK(listen() == std::set<std::string>{"open.so"});
  fs::remove(folder.path / "more.so");
  CHECK(listen().empty());
  CHECK_FALSE(heard.empty());

  fs::rename(folder.path, folder.path.parent_path() / "old");
  CHECK(listen().empty());
  CHECK_FALSE(heard.empty());
  CHECK(says(watch.aim(folder.path), "No such file"));
  fs::create_directory(folder.path);
  REQUIRE(watch.aim(folder.path).empty());
  std::ofstream(folder.path.parent_path() / "old" / "stale.so") << "x";
  folder.write("fresh.so");
  CHECK(listen() == std::set<std::string>{"fresh.so"});
}

TEST_CASE("what is kept of a file are its bytes as they were, and only if they still are") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "news.so";
  folder.write("news.so");
  const auto stamp = stamp_of(file);
  REQUIRE(stamp);
  auto kept = KeptPlugin::keep(file, *stamp);
  REQUIRE(kept);
  usleep(20'000);
  std::ofstream(file) << "other bytes";
  CHECK_FALSE(KeptPlugin::keep(file, *stamp));
  const fs::path copy = folder.path / "copy.so";
  for (int twice = 0; twice < 2; ++twice) {
    REQUIRE(kept->write(copy));
    std::string bytes;
    std::ifstream(copy) >> bytes;
    CHECK(bytes == "bytes");
  }
  CHECK_FALSE(stamp_of(folder.path / "none"));
  CHECK_FALSE(kept->write(folder.path / "none" / "copy.so"));
}
