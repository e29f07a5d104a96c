#include "serve/request.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

namespace restream {

namespace {

namespace http = boost::beast::http;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// `http://host/path` -> `/path`: servers must understand it, though only proxies get it.
std::string_view without_authority(std::string_view target) {
  const std::size_t scheme = target.find("://");
  if (target.starts_with('/') || scheme == std::string_view::npos) return target;
  const std::size_t slash = target.find('/', scheme + 3);
  return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
}

}  // namespace

std::string_view Request::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, [](const auto& one) { return std::string_view(one.first); });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::string Request::list(std::string_view name) const {
  std::string out;
  for (const auto& [header, value] : headers)
    if (header == name) (out += out.empty() ? "" : ", ") += value;
  return out;
}

bool Request::has(std::string_view name) const {
  return std::ranges::any_of(headers, [&](const auto& one) { return one.first == name; });
}

bool Request::lists(std::string_view name, std::string_view token) const {
  for (const auto& [header, value] : headers) {
    if (header != name) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      if (lower(trimmed(rest.substr(0, comma))) == token) return true;
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return false;
}

bool Request::upgrade() const {
  return version >= 11 && method == "GET" && lists("connection", "upgrade") && lists("upgrade", "websocket");
}

std::expected<Request, std::string> parse_request(std::string_view head) {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(head.size()) + 1);
  parser.body_limit(boost::none);
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(head.data(), head.size()), error);
  // A body that was announced is not here yet, and is none of the parser's business: bodies are refused.
  if (error && error != http::error::need_more && error != http::error::unexpected_body)
    return std::unexpected("not an HTTP request: " + error.message());
  if (!parser.is_header_done()) return std::unexpected(std::string("not an HTTP request"));

  const auto& message = parser.get();
  Request request;
  request.method = std::string_view(message.method_string().data(), message.method_string().size());
  request.version = message.version();
  request.keep_alive = message.keep_alive();
  // Whatever the coding: where the body ends is in the body.
  request.has_body =
      parser.content_length().value_or(0) > 0 || message.find(http::field::transfer_encoding) != message.end();
  for (const auto& field : message) {
    const std::string_view name(field.name_string().data(), field.name_string().size());
    request.headers.emplace_back(lower(name), std::string(field.value().data(), field.value().size()));
  }
  const std::string_view target = without_authority(std::string_view(message.target().data(), message.target().size()));
  const std::size_t mark = std::min(target.find('?'), target.size());
  request.path = target.substr(0, mark);
  if (mark < target.size()) request.query = target.substr(mark + 1);

  if (!request.path.starts_with('/') && request.method != "OPTIONS")
    return std::unexpected(std::string("the request's target must begin with '/'"));
  // Two of these would let two readers of one request disagree.
  for (const std::string_view once : {"host", "origin", "authorization", "last-event-id"})
    if (std::ranges::count(request.headers, once, [](const auto& one) { return std::string_view(one.first); }) > 1)
      return std::unexpected("more than one " + std::string(once) + " header");
  if (request.version >= 11 && !request.has("host")) return std::unexpected(std::string("the Host header is missing"));
  return request;
}

}  // namespace restream
