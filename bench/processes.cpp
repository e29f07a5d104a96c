#include "processes.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace bench {

namespace fs = std::filesystem;

namespace {

std::uint16_t port_by(int (*name)(int, sockaddr*, socklen_t*), int fd) {
  sockaddr generic{};
  socklen_t size = sizeof generic;
  if (name(fd, &generic, &size) != 0 || generic.sa_family != AF_INET) return 0;
  sockaddr_in address{};
  std::memcpy(&address, &generic, sizeof address);
  return ntohs(address.sin_port);
}

}  // namespace

sockaddr loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr generic{};
  static_assert(sizeof generic == sizeof address);
  std::memcpy(&generic, &address, sizeof address);
  return generic;
}

int connect_to(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr there = loopback(port);
  if (fd >= 0 && connect(fd, &there, sizeof there) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

int listen_anywhere() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr here = loopback(0);
  if (bind(fd, &here, sizeof here) != 0 || listen(fd, 16) != 0) throw std::runtime_error("no free port");
  return fd;
}

std::uint16_t free_port() {
  const int fd = listen_anywhere();
  const std::uint16_t port = local_port(fd);
  close(fd);
  return port;
}

std::uint16_t local_port(int fd) { return port_by(getsockname, fd); }
std::uint16_t peer_port(int fd) { return port_by(getpeername, fd); }

Child::Child(const std::vector<std::string>& words, const std::string& log) : pid_(fork()) {
  if (pid_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int nowhere = open("/dev/null", O_RDWR);
  const int lines = log.empty() ? nowhere : open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(nowhere, 0);
  dup2(lines, 1);
  dup2(lines, 2);
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

Child::~Child() {
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

void Child::wait_for(std::uint16_t port, const std::string& name) {
  for (int i = 0; i < 200; ++i) {
    if (const int fd = connect_to(port); fd >= 0) {
      close(fd);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  throw std::runtime_error(name + " does not listen");
}

std::vector<pid_t> descendants(pid_t root) {
  std::vector<pid_t> found{root};
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::string process = "/proc/" + std::to_string(found[i]);
    for (const auto& task : fs::directory_iterator(process + "/task")) {
      std::ifstream children(task.path() / "children");
      for (pid_t child = 0; children >> child;) found.push_back(child);
    }
  }
  return found;
}

}  // namespace bench
