// The bytes of a plugin file that serves, in memory. The file may be replaced by one that is no good, and then the host
// that serves may have to be started again. Runs on: core. Owns a memory file.
#pragma once

#include <sys/stat.h>

#include <expected>
#include <filesystem>
#include <optional>
#include <string>

#include "fetch/plugin_files.hpp"

namespace restream {

FileStamp stamp_in(const struct stat& status);
// Of what is at `path` now; nothing when there is nothing.
std::optional<FileStamp> stamp_of(const std::filesystem::path& path);

class KeptPlugin {
 public:
  // The file as it was when it had this stamp; an error when it has not any more.
  static std::expected<KeptPlugin, std::string> keep(const std::filesystem::path& path, const FileStamp& stamp);
  KeptPlugin(KeptPlugin&& other) noexcept;
  KeptPlugin& operator=(KeptPlugin&& other) noexcept;
  ~KeptPlugin();

  // Makes it a file that only we can read, in the place of any other.
  [[nodiscard]] std::expected<void, std::string> write(const std::filesystem::path& path) const;

 private:
  explicit KeptPlugin(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace restream
