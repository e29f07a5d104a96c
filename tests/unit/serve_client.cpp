#include "serve_fixture.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace restream::test {

int Frame::code() const {
  if (opcode != 8 || payload.size() < 2) return 0;
  return (static_cast<unsigned char>(payload[0]) << 8) | static_cast<unsigned char>(payload[1]);
}

std::string HttpAnswer::header(const std::string& name) const {
  const std::size_t start = head.find("\r\n" + name + ": ");
  if (start == std::string::npos) return "";
  const std::size_t value = start + name.size() + 4;
  return head.substr(value, head.find("\r\n", value) - value);
}

Client::Client(std::uint16_t port, int receive_buffer, const std::string& address) {
  const bool v6 = address.find(':') != std::string::npos;
  socket_ = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in to4{};
  to4.sin_family = AF_INET;
  to4.sin_port = htons(port);
  sockaddr_in6 to6{};
  to6.sin6_family = AF_INET6;
  to6.sin6_port = htons(port);
  int connected = -1;
  if (v6) {
    ::inet_pton(AF_INET6, address.c_str(), &to6.sin6_addr);
    connected = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to6), sizeof to6);
  } else {
    ::inet_pton(AF_INET, address.c_str(), &to4.sin_addr);
    connected = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to4), sizeof to4);
  }
  if (connected != 0) throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
}

Client::~Client() {
  if (socket_ >= 0) ::close(socket_);
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

void Client::wait_to_send() {
  const timeval no_limit{};
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &no_limit, sizeof no_limit);
}

void Client::half_close() { ::shutdown(socket_, SHUT_WR); }

bool Client::fill() {
  std::array<char, 65536> chunk{};
  const ssize_t size = ::recv(socket_, chunk.data(), chunk.size(), 0);
  if (size < 0) {
    if (errno == EAGAIN) throw std::runtime_error("nothing came for 10 s");
    reset_ = errno == ECONNRESET;
  }
  if (size <= 0) return false;
  input_.append(chunk.data(), static_cast<std::size_t>(size));
  return true;
}

std::string Client::read_to_end() {
  while (fill()) {
  }
  return std::exchange(input_, {});
}

HttpAnswer Client::get(const std::string& path, const std::string& headers, const std::string& method) {
  send(method + ' ' + path + " HTTP/1.1\r\nHost: localhost:8080\r\n" + headers + "\r\n");
  return read_answer(method != "HEAD");
}

HttpAnswer Client::read_answer(bool with_body) {
  HttpAnswer answer;
  std::size_t end = 0;
  while ((end = input_.find("\r\n\r\n")) == std::string::npos)
    if (!fill()) return answer;
  answer.head = input_.substr(0, end + 2);
  input_.erase(0, end + 4);
  answer.status = std::stoi(answer.head.substr(9, 3));
  const std::string length = answer.header("Content-Length");
  const std::size_t size = with_body && answer.status >= 200 && !length.empty() ? std::stoul(length) : 0;
  while (input_.size() < size && fill()) {
  }
  answer.body = input_.substr(0, size);
  input_.erase(0, size);
  return answer;
}

int Client::upgrade(const std::string& headers, const std::string& path) {
  return get(path,
             "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                 headers)
      .status;
}

void Client::frame(int first_byte, std::string_view payload) {
  static constexpr std::string_view mask = "\x11\x22\x33\x44";
  std::string bytes;
  bytes += static_cast<char>(first_byte);
  if (payload.size() < 126) {
    bytes += static_cast<char>(0x80U | payload.size());
  } else {
    const bool large = payload.size() > 0xffff;
    bytes += static_cast<char>(large ? 0xff : 0xfe);
    for (int shift = large ? 56 : 8; shift >= 0; shift -= 8) bytes += static_cast<char>(payload.size() >> shift);
  }
  bytes += mask;
  for (std::size_t i = 0; i < payload.size(); ++i) bytes += static_cast<char>(payload[i] ^ mask[i % 4]);
  send(bytes);
}

Frame Client::read_frame() {
  const auto need = [this](std::size_t size) {
    while (input_.size() < size)
      if (!fill()) return false;
    return true;
  };
  if (!need(2)) return {.opcode = -1, .payload = {}};
  const int opcode = static_cast<unsigned char>(input_[0]) & 0x0f;
  std::size_t size = static_cast<unsigned char>(input_[1]);
  if (size > 127) throw std::runtime_error("a masked frame from a server");
  std::size_t head = 2;
  if (size >= 126) {
    head = size == 126 ? 4 : 10;
    if (!need(head)) return {.opcode = -1, .payload = {}};
    size = 0;
    for (std::size_t i = 2; i < head; ++i) size = size << 8U | static_cast<unsigned char>(input_[i]);
  }
  if (!need(head + size)) return {.opcode = -1, .payload = {}};
  Frame frame{.opcode = opcode, .payload = input_.substr(head, size)};
  input_.erase(0, head + size);
  return frame;
}

void Client::open() {
  if (upgrade() != 101) throw std::runtime_error("no upgrade");
  if (read_json()["type"] != "ready") throw std::runtime_error("not ready");
}

nlohmann::json Client::subscribe(const std::string& channel, const std::string& more) {
  text(R"({"action":"subscribe","channel":")" + channel + '"' + more + '}');
  return read_json();
}

}  // namespace restream::test
