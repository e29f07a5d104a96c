// A real HTTP/1.1 server for tests, one thread per connection. What it answers is a test's own function, which writes
// bytes to the socket itself, so that it can misbehave as it likes.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace restream::test {

struct SeenRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string head;  // as it came
};

inline void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

inline std::string answer(int status, const std::string& headers, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) + " Word\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class TestServer {
 public:
  // Returns false to close the connection.
  using Handler = std::function<bool(int fd, const SeenRequest& request)>;

  struct At {
    std::string address;
    int port = 0;  // 0: a free one
  };

  explicit TestServer(Handler handler, bool six = false)
      : TestServer(std::move(handler), At{six ? "::1" : "127.0.0.1", 0}) {}

  TestServer(Handler handler, const At& at)
      : handler_(std::move(handler)), six_(at.address.find(':') != std::string::npos) {
    listener_ = ::socket(six_ ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage address{};
    socklen_t size = 0;
    if (six_) {
      const int only = 1;
      ::setsockopt(listener_, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
      sockaddr_in6 in{};
      in.sin6_family = AF_INET6;
      in.sin6_port = htons(static_cast<std::uint16_t>(at.port));
      ::inet_pton(AF_INET6, at.address.c_str(), &in.sin6_addr);
      std::memcpy(&address, &in, size = sizeof in);
    } else {
      sockaddr_in in{};
      in.sin_family = AF_INET;
      in.sin_port = htons(static_cast<std::uint16_t>(at.port));
      ::inet_pton(AF_INET, at.address.c_str(), &in.sin_addr);
      std::memcpy(&address, &in, size = sizeof in);
    }
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 512) != 0) throw std::runtime_error("no listener");
    sockaddr_storage bound{};
    size = sizeof bound;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size);
    if (six_) {
      sockaddr_in6 in{};
      std::memcpy(&in, &bound, sizeof in);
      port_ = ntohs(in.sin6_port);
    } else {
      sockaddr_in in{};
      std::memcpy(&in, &bound, sizeof in);
      port_ = ntohs(in.sin_port);
    }
    acceptor_ = std::thread([this] { accept_all(); });
  }

  ~TestServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::scoped_lock lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    ::close(listener_);
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  [[nodiscard]] std::string port() const { return std::to_string(port_); }
  [[nodiscard]] std::string origin() const { return (six_ ? "http://[::1]:" : "http://127.0.0.1:") + port(); }
  [[nodiscard]] int accepted() const { return accepted_; }
  [[nodiscard]] bool stopping() const { return stopping_; }
  [[nodiscard]] std::vector<SeenRequest> seen() const {
    const std::scoped_lock lock(mutex_);
    return seen_;
  }

 private:
  void accept_all() {
    while (true) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      ++accepted_;
      const std::scoped_lock lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd] { serve(fd); });
    }
  }

  void serve(int fd) {
    std::string buffer;
    SeenRequest request;
    while (read_request(fd, buffer, request)) {
      {
        const std::scoped_lock lock(mutex_);
        seen_.push_back(request);
      }
      if (!handler_(fd, request)) break;
    }
    const std::scoped_lock lock(mutex_);
    std::erase(open_, fd);
    ::close(fd);
  }

  static bool more(int fd, std::string& buffer) {
    char piece[4096];
    const ssize_t got = ::recv(fd, piece, sizeof piece, 0);
    if (got <= 0) return false;
    buffer.append(piece, static_cast<std::size_t>(got));
    return true;
  }

  static bool read_request(int fd, std::string& buffer, SeenRequest& request) {
    request = SeenRequest{};
    std::size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos)
      if (!more(fd, buffer)) return false;
    request.head = buffer.substr(0, end + 2);
    buffer.erase(0, end + 4);
    std::size_t at = request.head.find("\r\n");
    const std::string first = request.head.substr(0, at);
    request.method = first.substr(0, first.find(' '));
    request.target = first.substr(first.find(' ') + 1, first.rfind(' ') - first.find(' ') - 1);
    for (at += 2; at < request.head.size();) {
      const std::size_t line_end = request.head.find("\r\n", at);
      const std::string line = request.head.substr(at, line_end - at);
      std::string name = line.substr(0, line.find(':'));
      std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      std::string value = line.substr(line.find(':') + 1);
      value.erase(0, value.find_first_not_of(' '));
      request.headers[name] = value;
      at = line_end + 2;
    }
    const std::size_t length =
        request.headers.contains("content-length") ? std::stoul(request.headers["content-length"]) : 0;
    while (buffer.size() < length)
      if (!more(fd, buffer)) return false;
    request.body = buffer.substr(0, length);
    buffer.erase(0, length);
    return true;
  }

  Handler handler_;
  bool six_ = false;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> accepted_{0};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<SeenRequest> seen_;  // GUARDED_BY mutex_
  std::vector<int> open_;          // GUARDED_BY mutex_
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace restream::test
