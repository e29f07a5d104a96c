// Other processes that a benchmark starts and watches, and connections to them.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

// The address of a port of this machine.
sockaddr loopback(std::uint16_t port);
// A blocking connection to a port of this machine; -1 where nobody listens.
int connect_to(std::uint16_t port);
// A socket that listens on a port of this machine that was free.
int listen_anywhere();
std::uint16_t free_port();
// Of the two ends of a connection over IPv4; 0 where there is none.
std::uint16_t local_port(int fd);
std::uint16_t peer_port(int fd);

// A child that ends when this object does, by SIGTERM. What it writes goes to `log`, or nowhere.
class Child {
 public:
  explicit Child(const std::vector<std::string>& words, const std::string& log = {});
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Throws, with `name`, when nobody takes connections there within ten seconds.
  static void wait_for(std::uint16_t port, const std::string& name);

 private:
  pid_t pid_;
};

// A process and its children, and theirs.
std::vector<pid_t> descendants(pid_t root);

}  // namespace bench
