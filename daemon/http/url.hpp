// URLs as libcurl reads them. Everything is parsed by libcurl's own parser, so that what is checked here is what
// libcurl connects to later: no second opinion on where the host of "http://a@b\@c" ends. Pure functions; this room's
// own.
#pragma once

#include <expected>
#include <string>

#include "http/http_client.hpp"

namespace restream {

struct Url {
  std::string text;    // without a fragment; path and query byte for byte (signatures cover them), save for "/../"
  std::string origin;  // "https://api.nytimes.com", see origin_of()
  std::string host;    // "api.nytimes.com", "127.0.0.1", "[::1]": lower case, numbers in their usual form
  // What a Host header says: the origin without its scheme.
  [[nodiscard]] std::string authority() const { return origin.substr(origin.find("://") + 3); }
};

// Only http and https. The message names no part of the URL but its scheme.
std::expected<Url, HttpError> parse_url(const std::string& text);

// Where a Location header leads from `base`.
std::expected<Url, HttpError> follow(const Url& base, const std::string& location);

// The same path and query on another origin.
std::expected<Url, HttpError> moved_to(const Url& url, const std::string& origin);

}  // namespace restream
