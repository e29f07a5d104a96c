#include "limits.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace restream::host {
namespace {

constexpr rlim_t open_files = 64;
constexpr rlim_t stack = 8U << 20U;    // of main, which runs a plugin's constructors; it counts as no data
constexpr rlim_t user_threads = 8192;  // of all processes of this user; the daemon counts those of one host

// Soft and hard alike, so that the plugin cannot raise it again; never above a hard limit that is there already.
void limit(decltype(RLIMIT_CORE) what, rlim_t value) {
  rlimit now{};
  if (getrlimit(what, &now) != 0) throw std::system_error(errno, std::generic_category(), "getrlimit");
  const rlim_t lowered = std::min(value, now.rlim_max);
  const rlimit next{lowered, lowered};
  if (setrlimit(what, &next) != 0) throw std::system_error(errno, std::generic_category(), "setrlimit");
}

}  // namespace

void set_limits([[maybe_unused]] std::uint64_t memory) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_NOFILE, open_files);
  limit(RLIMIT_STACK, stack);
  limit(RLIMIT_NPROC, user_threads);
#ifndef RESTREAM_SANITIZED  // sanitizers map terabytes of shadow
  limit(RLIMIT_DATA, memory);
#endif
}

bool out_of_memory() {
  constexpr std::size_t size = 4U << 20U;
  void* const probe = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (probe == MAP_FAILED) return true;
  munmap(probe, size);
  return false;
}

}  // namespace restream::host
