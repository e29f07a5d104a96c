#include "store/state_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace restream {

namespace {

std::string read_pid(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
  std::string pid;
  for (ssize_t i = 0; i < size; ++i) {
    const char c = text[static_cast<std::size_t>(i)];
    if (c < '0' || c > '9') break;
    pid += c;
  }
  return pid;
}

}  // namespace

std::expected<StateLock, StoreOpenError> StateLock::take(const std::filesystem::path& directory) {
  using Kind = StoreOpenError::Kind;
  const std::filesystem::path path = directory / "lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0)
    return std::unexpected(StoreOpenError{Kind::io, "cannot open " + path.string() + ": " + std::strerror(errno) +
                                                        "; state.directory must be writable for this user"});
  StateLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return std::unexpected(StoreOpenError{Kind::io, "cannot lock " + path.string() + ": " + std::strerror(errno)});
    // The holder may be between its flock and its write; that takes microseconds.
    std::string pid = read_pid(descriptor);
    for (int i = 0; pid.empty() && i < 20; ++i) {
      ::usleep(10'000);
      pid = read_pid(descriptor);
    }
    return std::unexpected(
        StoreOpenError{Kind::in_use, "the state directory " + directory.string() + " is in use by process " +
                                         (pid.empty() ? "(unknown)" : pid) +
                                         "; stop that one first, or give this one another state.directory"});
  }
  const std::string pid = std::to_string(::getpid()) + '\n';
  // Best effort: on a full disk the lock holds all the same, only without a name on it.
  if (::ftruncate(descriptor, 0) == 0) [[maybe_unused]]
    const ssize_t written = ::pwrite(descriptor, pid.data(), pid.size(), 0);
  return lock;
}

StateLock::StateLock(StateLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

StateLock& StateLock::operator=(StateLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

StateLock::~StateLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace restream
