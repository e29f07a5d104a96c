// The head of an HTTP request as a value, and its parser. Pure.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace restream {

struct Request {
  std::string method;
  std::string path;   // as sent: percent-encoded, begins with '/'
  std::string query;  // without the '?'
  unsigned version = 11;
  bool keep_alive = true;
  bool has_body = false;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case

  // The first of that name; empty when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  // All of that name as one list, for those that may come in several headers.
  [[nodiscard]] std::string list(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;
  // Whether a list such as `Connection: keep-alive, Upgrade` holds the token, in whatever case.
  [[nodiscard]] bool lists(std::string_view name, std::string_view token) const;
  // Asks for a WebSocket.
  [[nodiscard]] bool upgrade() const;
};

// `head` ends with its empty line. The error is a sentence for the 400.
std::expected<Request, std::string> parse_request(std::string_view head);

}  // namespace restream
