// Stands in for systemd where a test wants to hear what a service says of itself: makes a datagram socket and prints
// what arrives, each message as one line of JSON-like text with its line ends as "|". Ends with its standard input.
//
//   notified SOCKET
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string_view>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string_view path = argv[1];
  if (path.size() >= sizeof name.sun_path) return 2;
  std::ranges::copy(path, name.sun_path);
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    std::perror("notified: bind");
    return 1;
  }
  std::puts("bound");
  std::fflush(stdout);
  std::array<pollfd, 2> waiting{
      {{.fd = descriptor, .events = POLLIN, .revents = 0}, {.fd = 0, .events = 0, .revents = 0}}};
  while (poll(waiting.data(), waiting.size(), -1) >= 0) {
    if (waiting[0].revents != 0) {
      std::array<char, 4096> message{};
      const ssize_t size = recv(descriptor, message.data(), message.size(), 0);
      if (size < 0) return 1;
      const auto end = message.begin() + size;
      std::replace(message.begin(), end, '\n', '|');
      std::printf("%.*s\n", static_cast<int>(size), message.data());
      std::fflush(stdout);
    }
    if ((waiting[1].revents & POLLHUP) != 0) return 0;
  }
  return 1;
}
