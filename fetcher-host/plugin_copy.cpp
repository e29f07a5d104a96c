#include "plugin_copy.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "elf_extents.hpp"

#ifndef MFD_NOEXEC_SEAL  // Linux 6.3: not to be run as a program; mapping it is something else
#define MFD_NOEXEC_SEAL 8U
#endif

namespace restream::host {
namespace {

constexpr off_t largest = 512L << 20;

struct Fd {
  int value;
  ~Fd() {
    if (value >= 0) close(value);
  }
  int release() { return std::exchange(value, -1); }
};

int make_memory_file(const char* name) {
  const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  return fd >= 0 || errno != EINVAL ? fd : memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

std::string error_text() { return std::generic_category().message(errno); }

// All of it. Empty when it worked.
std::string copy(int from, int to, off_t size) {
  off_t at = 0;
  while (at < size) {
    const ssize_t count = sendfile(to, from, &at, static_cast<std::size_t>(size - at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return "it cannot be copied: " + error_text();
    if (count == 0) return "it became shorter while it was read (still being copied?)";
  }
  return "";
}

}  // namespace

std::expected<int, std::string> copy_plugin(const std::filesystem::path& path) {
  const auto refuse = [&path](const std::string& why) {
    return std::unexpected(path.filename().string() + " cannot be used: " + why);
  };
  // Non-blocking: a FIFO would keep us waiting for somebody who writes.
  const Fd file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (file.value < 0) return refuse(errno == ELOOP ? "it is a symbolic link" : error_text());
  struct stat status{};
  if (fstat(file.value, &status) != 0) return refuse(error_text());
  if (!S_ISREG(status.st_mode)) return refuse("it is not a regular file");
  if (status.st_size > largest) return refuse("it is larger than 512 MiB");

  Fd memory{make_memory_file(path.filename().c_str())};
  if (memory.value < 0) return refuse("there is no memory file for its copy: " + error_text());
  if (const std::string problem = copy(file.value, memory.value, status.st_size); !problem.empty())
    return refuse(problem);
  if (fcntl(memory.value, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return refuse("its copy cannot be sealed: " + error_text());
  // Of the copy, not of the file: what was checked is what is loaded.
  if (const std::string problem = elf_problem("/proc/self/fd/" + std::to_string(memory.value)); !problem.empty())
    return refuse(problem);
  return memory.release();
}

}  // namespace restream::host
