#include "fetch/host_process_watch.hpp"

#include <sys/stat.h>

#include <string>

namespace restream {

// A folder has a link for itself, one from its parent, and one from each folder inside: here, each thread's.
std::uint64_t count_threads(pid_t pid) {
  struct stat status{};
  const std::string folder = "/proc/" + std::to_string(pid) + "/task";
  return stat(folder.c_str(), &status) == 0 && status.st_nlink > 2 ? status.st_nlink - 2 : 0;
}

}  // namespace restream
