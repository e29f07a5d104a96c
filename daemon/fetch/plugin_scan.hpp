// Looks at the plugins directory: which files there are, and which of them must not be loaded because somebody else
// could change them, or because they are no files at all. Opens and loads nothing. Runs on: core.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "fetch/plugin_files.hpp"

namespace restream {

// Only the directory and its files are judged, not the directories above it: files and directory must belong to root or
// to `self`, and nobody else may be able to write to them. Names that begin with a dot, and those that do not end with
// .so, are nobody's.
DirectoryView scan_plugins(const std::filesystem::path& directory, uid_t self);

}  // namespace restream
