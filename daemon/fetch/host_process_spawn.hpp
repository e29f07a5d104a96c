// Starts the child process of a fetcher host, and says how it ended. Runs on: core.
#pragma once

#include <sys/types.h>

#include <expected>
#include <filesystem>
#include <string>
#include <utility>

namespace restream {

// Owns a file descriptor.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~OwnedFd();
  [[nodiscard]] int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// The daemon's side of a child that runs.
struct SpawnedHost {
  pid_t pid = 0;    // leads a session and a process group of its own
  OwnedFd process;  // pidfd
  OwnedFd socket;
  OwnedFd standard_output;
  OwnedFd standard_error;
};

// The child has fd 0 (/dev/null), 1, 2, 3 (the socket) and no other; no environment; no signal blocked or ignored;
// `argument` as its only argument. An error is a sentence.
std::expected<SpawnedHost, std::string> spawn_host(const std::filesystem::path& host, const std::string& argument);

// SIGKILL for the child and everything in its process group. Only before it is reaped: until then its id is taken.
void kill_host(pid_t pid);

struct HostExit {
  bool killed = false;  // by SIGKILL
  std::string text;     // "exit status 3", "signal 11 (SIGSEGV)"
};

// Waits for the child's end and takes its exit status.
HostExit reap_host(int pidfd);

}  // namespace restream
