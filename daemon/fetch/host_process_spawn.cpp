#include "fetch/host_process_spawn.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <vector>

namespace restream {
namespace {

constexpr int socket_in_child = 3;
constexpr int first_unused = 4;

std::unexpected<std::string> failed(const char* what, int error) {
  return std::unexpected(std::string(what) + ": " + std::generic_category().message(error));
}

// Each of these is freed whichever way spawn_host() is left.
struct Actions {
  posix_spawn_file_actions_t value{};
  Actions() { posix_spawn_file_actions_init(&value); }
  ~Actions() { posix_spawn_file_actions_destroy(&value); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
};
struct Attributes {
  posix_spawnattr_t value{};
  Attributes() { posix_spawnattr_init(&value); }
  ~Attributes() { posix_spawnattr_destroy(&value); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
};

// The child's end is moved out of the way of 0 to 3, so that no dup2() there overwrites one that is still needed.
bool move_up(OwnedFd& fd) {
  fd = OwnedFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, first_unused));
  return fd.get() >= 0;
}

// glibc 2.36 declares its own pidfd_open() without C linkage, so that C++ cannot link it.
int open_process(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

// Nothing of ours, save what a sanitizer in the child needs to know.
std::vector<std::string> child_environment() {
  std::vector<std::string> environment;
#ifdef RESTREAM_SANITIZED
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"})
    if (const char* value = std::getenv(name)) environment.push_back(std::string(name) + '=' + value);
#endif
  return environment;
}

}  // namespace

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) close(fd_);
}

std::expected<SpawnedHost, std::string> spawn_host(const std::filesystem::path& host, const std::string& argument) {
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return failed("socketpair", errno);
  OwnedFd socket(pair[0]);
  OwnedFd child_socket(pair[1]);
  if (pipe2(pair.data(), O_CLOEXEC) != 0) return failed("pipe", errno);
  OwnedFd output(pair[0]);
  OwnedFd child_output(pair[1]);
  if (pipe2(pair.data(), O_CLOEXEC) != 0) return failed("pipe", errno);
  OwnedFd error(pair[0]);
  OwnedFd child_error(pair[1]);
  if (!move_up(child_socket) || !move_up(child_output) || !move_up(child_error)) return failed("fcntl", errno);

  Actions actions;
  posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions.value, child_output.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions.value, child_error.get(), STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions.value, child_socket.get(), socket_in_child);
  posix_spawn_file_actions_addclosefrom_np(&actions.value, first_unused);
  posix_spawn_file_actions_addchdir_np(&actions.value, "/");

  // A session of its own: Ctrl-C in a terminal is for the daemon, which then ends its hosts in order.
  Attributes attributes;
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes.value, &none);
  posix_spawnattr_setsigdefault(&attributes.value, &all);
  posix_spawnattr_setflags(&attributes.value, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);

  std::vector<std::string> arguments{host.filename().string(), argument};
  std::vector<std::string> environment = child_environment();
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (auto& text : arguments) argv.push_back(text.data());
  for (auto& text : environment) envp.push_back(text.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);

  SpawnedHost spawned;
  // The child's directory is another one.
  const std::string program = std::filesystem::absolute(host).string();
  if (const int problem =
          posix_spawn(&spawned.pid, program.c_str(), &actions.value, &attributes.value, argv.data(), envp.data());
      problem != 0)
    return failed(program.c_str(), problem);

  spawned.process = OwnedFd(open_process(spawned.pid));
  if (spawned.process.get() < 0) {
    const int problem = errno;
    kill_host(spawned.pid);
    waitpid(spawned.pid, nullptr, 0);
    return failed("pidfd_open", problem);
  }
  spawned.socket = std::move(socket);
  spawned.standard_output = std::move(output);
  spawned.standard_error = std::move(error);
  return spawned;
}

void kill_host(pid_t pid) {
  ::kill(-pid, SIGKILL);
  ::kill(pid, SIGKILL);
}

HostExit reap_host(int pidfd) {
  // Asio makes it non-blocking, and with it waitid(): so the waiting is done here.
  pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
  while (poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  siginfo_t info{};
  int done = 0;
  do {
    done = waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED);
  } while (done != 0 && errno == EINTR);
  if (done != 0) return {false, "its exit status is not known"};
  if (info.si_code == CLD_EXITED) return {false, "exit status " + std::to_string(info.si_status)};
  const char* const name = sigabbrev_np(info.si_status);
  return {info.si_status == SIGKILL, "signal " + std::to_string(info.si_status) + " (" +
                                         (name == nullptr ? std::string("unknown") : "SIG" + std::string(name)) + ")"};
}

}  // namespace restream
