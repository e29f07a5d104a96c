#include "serve_fixture.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
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

Client::Client(std::uint16_t port, int receive_buffer, const std::string& address)
    : socket_(::socket(address.find(':') != std::string::npos ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const bool v6 = address.find(':') != std::string::npos;
  if (receive_buffer > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const timeval limit{.tv_sec = 30, .tv_usec = 0};
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

Client::Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

void FreeSsl::operator()(ssl_st* stream) const { SSL_free(stream); }

bool Client::secure() {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  tls_.reset(SSL_new(context.get()));
  SSL_set_fd(tls_.get(), socket_);
  return SSL_connect(tls_.get()) == 1;
}

std::string Client::certificate_name() const {
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(tls_.get()), X509_free);
  std::array<char, 64> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name.data(), name.size());
  return name.data();
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = tls_ ? SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                              : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;  // whoever has a limit of time gets that when the process was stopped
    if (size <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

void Client::wait_to_send() {
  const timeval no_limit{};
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &no_limit, sizeof no_limit);
}

unsigned Client::server_tcp_option(int option) const {
  const auto ports = [](int fd) {
    sockaddr_in local{};
    sockaddr_in peer{};
    socklen_t size = sizeof local;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) return std::pair(0, 0);
    size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return std::pair(0, 0);
    return std::pair<int, int>(ntohs(local.sin_port), ntohs(peer.sin_port));
  };
  const auto [here, there] = ports(socket_);
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::atoi(entry.path().filename().c_str());
    if (ports(fd) != std::pair(there, here)) continue;
    unsigned value = 0;
    socklen_t size = sizeof value;
    if (::getsockopt(fd, IPPROTO_TCP, option, &value, &size) != 0) throw std::runtime_error("getsockopt failed");
    return value;
  }
  throw std::runtime_error("the server has no such connection");
}

void Client::half_close() { ::shutdown(socket_, SHUT_WR); }

bool Client::fill() {
  std::array<char, 65536> chunk{};
  ssize_t size = 0;
  do {
    errno = 0;
    size = tls_ ? SSL_read(tls_.get(), chunk.data(), static_cast<int>(chunk.size()))
                : ::recv(socket_, chunk.data(), chunk.size(), 0);
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    if (errno == EAGAIN) throw std::runtime_error("nothing came for 30 s");
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

Block Client::read_block() {
  std::size_t end = 0;
  while ((end = input_.find("\n\n")) == std::string::npos)
    if (!fill()) return {.ended = true};
  const std::string text = input_.substr(0, end + 1);
  input_.erase(0, end + 2);
  Block block;
  bool data = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t line_end = text.find('\n', at);
    const std::string line = text.substr(at, line_end - at);
    at = line_end + 1;
    if (line.find('\r') != std::string::npos) throw std::runtime_error("a CR in an event stream");
    const std::size_t colon = line.find(':');
    const std::string name = line.substr(0, colon);
    std::string value = colon == std::string::npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) value.erase(0, 1);
    if (name.empty()) block.comment = ':' + value;
    if (name == "retry") block.retry = value;
    if (name == "event") block.event = value;
    if (name == "data") block.data += (std::exchange(data, true) ? "\n" : "") + value;
    if (name == "id") {
      block.id = value;
      block.has_id = true;
    }
  }
  return block;
}

Block Client::read_event() {
  while (true) {
    Block block = read_block();
    if (block.ended || !block.data.empty()) return block;
  }
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
