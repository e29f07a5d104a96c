#include "serve/handshake.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

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

// What stands before the separator, without the blanks around it; the separator goes too.
std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!part.empty() && is_blank(part.front())) part.remove_prefix(1);
  while (!part.empty() && is_blank(part.back())) part.remove_suffix(1);
  return part;
}

bool is_window(std::string_view bits) {
  return bits == "8" || bits == "9" || (bits.size() == 2 && bits[0] == '1' && bits[1] >= '0' && bits[1] <= '5');
}

// To one offer, such as `permessage-deflate; client_max_window_bits`. One that has unknown params, or one twice, must
// be declined.
std::optional<Deflating> answer_to(std::string_view offer) {
  if (take_until(offer, ';') != "permessage-deflate") return std::nullopt;
  Deflating answer{.extension = "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                   .ours = true};
  std::vector<std::string_view> seen;
  while (!offer.empty()) {
    std::string_view value = take_until(offer, ';');
    const bool has_value = value.find('=') != std::string_view::npos;
    const std::string_view name = take_until(value, '=');
    if (value.size() > 1 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (std::ranges::find(seen, name) != seen.end()) return std::nullopt;
    seen.push_back(name);
    const bool flag = name == "server_no_context_takeover" || name == "client_no_context_takeover";
    const bool ours = name == "server_max_window_bits" && is_window(value);
    const bool theirs = name == "client_max_window_bits" && (!has_value || is_window(value));
    if (!(flag && !has_value) && !ours && !theirs) return std::nullopt;
    if (!ours) continue;
    answer.extension.append("; server_max_window_bits=").append(value);
    answer.ours = value == "15";
  }
  return answer;
}

}  // namespace

std::optional<Answer> handshake_refusal(const Request& request) {
  if (request.header("sec-websocket-version") != "13") {
    Answer answer = error_answer(426, "bad_request", "WebSockets are spoken in version 13 here");
    answer.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Version", "13"}};
    return answer;
  }
  if (!is_key(request.header("sec-websocket-key")))
    return error_answer(400, "bad_request", "Sec-WebSocket-Key must be 16 bytes in base64");
  return std::nullopt;
}

Deflating accept_deflate(const Request& request) {
  Deflating second_best;
  for (const auto& [name, value] : request.headers) {
    if (name != "sec-websocket-extensions") continue;
    for (std::string_view list = value; !list.empty();) {
      auto answer = answer_to(take_until(list, ','));
      if (answer && answer->ours) return std::move(*answer);
      if (answer && second_best.extension.empty()) second_best = std::move(*answer);
    }
  }
  return second_best;
}

std::string handshake_bytes(const Request& request, std::string_view server, std::string_view protocol,
                            std::string_view extension) {
  std::string bytes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nServer: ";
  bytes.append(server).append("\r\nSec-WebSocket-Accept: ").append(accept_of(request.header("sec-websocket-key")));
  if (!protocol.empty()) bytes.append("\r\nSec-WebSocket-Protocol: ").append(protocol);
  if (!extension.empty()) bytes.append("\r\nSec-WebSocket-Extensions: ").append(extension);
  return bytes.append("\r\n\r\n");
}

}  // namespace restream
