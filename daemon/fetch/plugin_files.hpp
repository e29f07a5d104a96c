// What to do about the files of the plugins directory: pure. What is there now and what was known of it go in; what to
// add, replace, remove and refuse comes out, and when to look again.
//
// A file is left alone while it changes. One whose writer is known to have finished (it was closed, or moved in) has to
// be quiet for a moment only; any other for a little over a second, so that a slow copy is not taken half-way. What
// loading a file ended with is told when it has been quiet for that long too: a copy that opens and closes its file for
// each piece is then tried early, but nobody hears of a piece.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/clock.hpp"

namespace restream {

// Changes whenever the file does.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;  // its bytes
  std::int64_t changed_ns = 0;   // its bytes, owner, mode or links
  bool operator==(const FileStamp&) const = default;
};

struct SeenFile {
  std::string name;  // the file's, without .so
  FileStamp stamp;
  std::string problem;  // why it must not be loaded whatever is in it, a sentence; empty: none
};

struct DirectoryView {
  bool listed = false;          // false: it could not be read, so nothing is known of its files
  std::string problem;          // of the directory itself, a sentence: its files are refused for it
  std::vector<SeenFile> files;  // by name
};

struct KnownFile {
  FileStamp stamp;
  std::string problem;
  SteadyTime since;                    // seen like this, or gone
  bool gone = false;                   // not there any more
  bool finished = false;               // its writer has
  bool told = false;                   // an action was handed out for this very stamp
  bool ever_told = false;              // … or for one before it
  std::optional<std::string> verdict;  // loading it failed, and nobody was told yet
};
using KnownFiles = std::map<std::string, KnownFile>;  // by name

struct FileAction {
  enum class Kind : std::uint8_t { add, replace, remove, refuse };
  Kind kind{};
  std::string name;
  std::string reason;  // for refuse
  bool operator==(const FileAction&) const = default;
};

struct Decision {
  std::vector<FileAction> actions;  // by name
  KnownFiles known;
  std::optional<SteadyTime> look_again;
};

// `finished`: files whose writer has just closed them, or that were moved in. At the start, when nothing is known,
// every file counts as quiet.
Decision decide(KnownFiles known, const DirectoryView& there, const std::set<std::string>& finished, SteadyTime now,
                bool starting = false);

// Loading the file ended badly. Gives when to decide() anew, which then tells it; nothing when the file has changed
// since.
std::optional<SteadyTime> remember_verdict(KnownFiles& known, const std::string& name, std::string reason);

}  // namespace restream
