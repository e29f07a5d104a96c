#include "control_socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace {

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string why_no_connection(const std::string& path, int code) {
  switch (code) {
    case ENOENT:
      return path +
             " is not there: restreamd is not running, or keeps its state elsewhere (--socket STATE/control.sock)";
    case ECONNREFUSED:
      return path + ": nobody listens: restreamd is not running";
    case EACCES:
    case EPERM:
      return path + ": permission denied: run this as root, or as the user that restreamd runs as";
    default:
      return path + ": " + std::strerror(code);
  }
}

}  // namespace

std::expected<void, std::string> ask(const std::string& socket_path, const std::string& request,
                                     const std::function<void(const std::string&)>& take) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path)
    return std::unexpected(socket_path + ": too long for the path of a socket");
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  const Descriptor connection{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (connection.fd < 0) return std::unexpected(std::string("cannot make a socket: ") + std::strerror(errno));
  if (::connect(connection.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return std::unexpected(why_no_connection(socket_path, errno));

  const std::string line = request + "\n";
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t count = ::send(connection.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count < 0) return std::unexpected(socket_path + ": cannot send: " + std::strerror(errno));
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  std::string text;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t count = ::read(connection.fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(socket_path + ": cannot read: " + std::strerror(errno));
    if (count == 0) return {};
    text.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t end = 0;
    while ((end = text.find('\n')) != std::string::npos) {
      take(text.substr(0, end));
      text.erase(0, end + 1);
    }
  }
}
