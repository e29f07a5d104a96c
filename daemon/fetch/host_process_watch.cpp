#include "fetch/host_process_watch.hpp"

#include <sys/stat.h>

namespace restream {

// A folder has a link for itself, one from its parent, and one from each folder inside: here, each thread's.
std::optional<std::uint64_t> count_threads(pid_t pid, const std::filesystem::path& proc) {
  struct stat status{};
  const auto folder = proc / std::to_string(pid) / "task";
  if (stat(folder.c_str(), &status) != 0 || status.st_nlink <= 2) return std::nullopt;
  return status.st_nlink - 2;
}

std::string too_many_threads(std::uint64_t count) {
  return "it has " + std::to_string(count) + " threads, more than " + std::to_string(most_host_threads);
}

}  // namespace restream
