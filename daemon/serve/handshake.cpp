#include "serve/handshake.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace restream {

namespace {

// Sixteen bytes in base64: 22 digits, of which the last has four bits to spare, and the padding.
bool is_key(std::string_view key) {
  constexpr std::size_t digits = 22;
  const auto is_digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  };
  return key.size() == digits + 2 && key.ends_with("==") && std::ranges::all_of(key.substr(0, digits), is_digit);
}

std::string accept_of(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
    throw std::runtime_error("OpenSSL has no SHA-1, which a WebSocket's handshake needs");
  std::array<unsigned char, EVP_MAX_MD_SIZE * 2> base64{};
  const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(size));
  return {base64.begin(), base64.begin() + length};
}

}  // namespace

std::optional<Answer> handshake_refusal(const Request& request) {
  if (request.header("sec-websocket-version") != "13") {
    Answer answer = error_answer(426, "bad_request", "WebSockets are spoken in version 13 here");
    answer.headers.emplace_back("Sec-WebSocket-Version", "13");
    return answer;
  }
  if (!is_key(request.header("sec-websocket-key")))
    return error_answer(400, "bad_request", "Sec-WebSocket-Key must be 16 bytes in base64");
  return std::nullopt;
}

std::string handshake_bytes(const Request& request, std::string_view server, std::string_view protocol) {
  std::string bytes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nServer: ";
  bytes.append(server).append("\r\nSec-WebSocket-Accept: ").append(accept_of(request.header("sec-websocket-key")));
  if (!protocol.empty()) bytes.append("\r\nSec-WebSocket-Protocol: ").append(protocol);
  return bytes.append("\r\n\r\n");
}

}  // namespace restream
