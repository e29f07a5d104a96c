#include "fetch/plugin_scan.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

#include "config/scalar.hpp"
#include "fetch/kept_plugin.hpp"

namespace restream {

namespace {

constexpr std::string_view suffix = ".so";

std::string kind_of(mode_t mode) {
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

// What makes a file or directory one that somebody else could change.
std::string unsafe(const struct stat& status, uid_t self) {
  if (status.st_uid != 0 && status.st_uid != self)
    return "belongs to user " + std::to_string(status.st_uid) + "; it must belong to root or to user " +
           std::to_string(self) + ", whom restreamd runs as";
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return std::string("may be written to by ") + ((status.st_mode & S_IWOTH) != 0 ? "everybody" : "its group") +
           "; take that away with `chmod go-w`";
  return {};
}

std::string problem_of(const std::string& name, const struct stat& status, uid_t self) {
  if (!is_fetcher_name(name))
    return "a plugin file is named after its fetcher: lower-case letters, digits and '-', at most 64, then .so";
  if (!S_ISREG(status.st_mode)) return "it is " + kind_of(status.st_mode) + ", not a regular file";
  const std::string problem = unsafe(status, self);
  return problem.empty() ? problem : "it " + problem;
}

}  // namespace

DirectoryView scan_plugins(const std::filesystem::path& directory, uid_t self) {
  DirectoryView view;
  struct stat status{};
  const auto unreadable = [&](int error) {
    view.problem = "cannot be read: " + std::generic_category().message(error);
    view.listed = error == ENOENT;  // without a directory there are no files
    return view;
  };
  if (stat(directory.c_str(), &status) != 0) return unreadable(errno);
  std::error_code failed;
  std::filesystem::directory_iterator entry(directory, failed);
  for (; !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
    const std::string file = entry->path().filename().string();
    if (file.starts_with('.') || !file.ends_with(suffix)) continue;
    struct stat seen{};
    if (lstat(entry->path().c_str(), &seen) != 0) continue;  // gone already
    std::string name = file.substr(0, file.size() - suffix.size());
    std::string problem = problem_of(name, seen, self);
    view.files.push_back({.name = std::move(name), .stamp = stamp_in(seen), .problem = std::move(problem)});
  }
  if (failed) {
    view.files.clear();
    return unreadable(failed.value());
  }
  view.listed = true;
  if (const std::string problem = unsafe(status, self); !problem.empty())
    view.problem = "the plugins directory " + problem;
  std::ranges::sort(view.files, {}, &SeenFile::name);
  return view;
}

}  // namespace restream
