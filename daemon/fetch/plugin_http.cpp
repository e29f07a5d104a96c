#include "fetch/plugin_http.hpp"

#include <restream/fetcher.h>

#include <algorithm>
#include <utility>

namespace restream {

namespace {

constexpr std::size_t longest_url = 300;

// Problems that have no code of their own in the contract are a refusal by restream.
std::int32_t code_of(HttpProblem problem) {
  switch (problem) {
    case HttpProblem::bad_request:
      return RESTREAM_BAD_REQUEST;
    case HttpProblem::refused:
    case HttpProblem::quota:
      return RESTREAM_REFUSED;
    case HttpProblem::unreachable:
      return RESTREAM_UNREACHABLE;
    case HttpProblem::timeout:
      return RESTREAM_TIMEOUT;
    case HttpProblem::too_large:
      return RESTREAM_TOO_LARGE;
    case HttpProblem::cancelled:
      return RESTREAM_CANCELLED;
  }
  return RESTREAM_FAILED;
}

}  // namespace

Millis http_part(Millis call_timeout) {
  return call_timeout - std::clamp<Millis>(call_timeout / 6, Millis(200), Seconds(5));
}

std::size_t size_of(const HostHttpRequest& asked) {
  std::size_t size = asked.url.size() + asked.body.size();
  for (const auto& [name, value] : asked.headers) size += name.size() + value.size();
  return size;
}

HttpRequest request_of(HostHttpRequest asked) {
  HttpRequest request;
  request.method = asked.method.empty() ? "GET" : std::move(asked.method);
  request.url = std::move(asked.url);
  request.headers = std::move(asked.headers);
  request.body = std::move(asked.body);
  return request;
}

HostHttpResponse response_of(HttpResult result) {
  if (!result)
    return {.code = code_of(result.error().problem),
            .status = 0,
            .headers = {},
            .body = {},
            .error = std::move(result.error().message)};
  return {.code = RESTREAM_OK,
          .status = result->status,
          .headers = std::move(result->headers),
          .body = std::move(result->body),
          .error = {}};
}

Hints note_answer(PluginReply& reply, const HttpResult& result, WallTime now) {
  if (!result) {
    reply.http_problem = result.error().problem;
    reply.http_message = result.error().message;
    return {};
  }
  reply.http_problem.reset();
  reply.http_message.clear();
  reply.http_status = result->status;
  const Hints hints = read_hints(result->headers, now);
  reply.hints = longest_of(reply.hints, hints);
  return hints;
}

std::string shown_url(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const std::size_t scheme = url.find("://");
  const std::size_t host = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::size_t path = std::min(url.find('/', host), url.size());
  const std::size_t user = url.substr(0, path).rfind('@');
  std::string shown(url.substr(0, host));
  shown += url.substr(user == std::string_view::npos || user < host ? host : user + 1);
  if (shown.size() > longest_url) shown.resize(longest_url);
  return shown;
}

}  // namespace restream
