#include "serve/answer.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>

#include "channel/frame.hpp"

namespace restream {

namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
    case 426:
      return "Upgrade Required";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

// "Sun, 06 Nov 1994 08:49:37 GMT"; by hand, since strftime() speaks the locale's language.
std::string http_date(WallTime time) {
  static constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const int size = std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                 days[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                                 months[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour,
                                 parts.tm_min, parts.tm_sec);
  return {text.data(), static_cast<std::size_t>(size)};
}

bool has_body(const Answer& answer) { return answer.status != 204 && answer.status != 304; }

bool is_json(const Answer& answer) { return answer.type == "application/json"; }

}  // namespace

Answer error_answer(int status, std::string_view code, std::string_view message) {
  Answer answer;
  answer.status = status;
  answer.body = R"({"type":"error","code":)" + json_string(code) + R"(,"message":)" + json_string(message) + '}';
  return answer;
}

std::string answer_bytes(const Answer& answer, const AnswerContext& context) {
  std::string bytes = "HTTP/1.1 " + std::to_string(answer.status) + ' ';
  const auto header = [&bytes](std::string_view name, std::string_view value) {
    bytes.append(name).append(": ").append(value).append("\r\n");
  };
  bytes.append(reason_phrase(answer.status)).append("\r\n");
  header("Server", context.server);
  header("Date", http_date(context.time));
  if (has_body(answer)) {
    header("Content-Type", is_json(answer) ? "application/json" : answer.type + "; charset=utf-8");
    header("Content-Length", std::to_string(answer.shared ? answer.shared->size() : answer.body.size()));
  }
  header("X-Content-Type-Options", "nosniff");
  // What is right now may be wrong in a second; whoever keeps it must ask (with If-None-Match, where there is an ETag).
  header("Cache-Control", answer.status == 200 || answer.status == 304 ? "no-cache" : "no-store");
  if (is_json(answer)) header("Vary", "Origin");
  if (is_json(answer) && !context.origin.empty()) {
    header("Access-Control-Allow-Origin", context.origin);
    header("Access-Control-Expose-Headers", "ETag, Retry-After");
  }
  for (const auto& [name, value] : answer.headers) header(name, value);
  // A client of HTTP/1.0 has to be told of either.
  header("Connection", answer.close || context.close ? "close" : "keep-alive");
  bytes.append("\r\n");
  if (!context.head && has_body(answer) && !answer.shared) bytes += answer.body;
  return bytes;
}

std::shared_ptr<const std::string> shared_body(const Answer& answer, const AnswerContext& context) {
  return !context.head && has_body(answer) ? answer.shared : nullptr;
}

std::string stream_head(const AnswerContext& context) {
  std::string bytes = "HTTP/1.1 200 OK\r\n";
  bytes.append("Server: ").append(context.server).append("\r\nDate: ").append(http_date(context.time));
  // Proxies are to pass on what comes when it comes.
  bytes +=
      "\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
      "X-Content-Type-Options: nosniff\r\nVary: Origin\r\n";
  if (!context.origin.empty()) bytes.append("Access-Control-Allow-Origin: ").append(context.origin).append("\r\n");
  return bytes += "Connection: close\r\n\r\n";
}

Answer refusal_answer(std::string_view code, std::string_view message) {
  int status = 503;  // unavailable, too_many_channels: later may be better
  if (code == "unknown_channel") status = 404;
  if (code == "invalid_params" || code == "bad_request" || code == "too_many_subscriptions") status = 400;
  if (code == "unauthorized") status = 403;
  Answer answer = error_answer(status, code, message);
  if (status == 503) answer.headers.emplace_back("Retry-After", "5");
  return answer;
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) {
  if (etag.empty()) return false;
  while (!if_none_match.empty()) {
    const std::size_t comma = std::min(if_none_match.find(','), if_none_match.size());
    std::string_view one = if_none_match.substr(0, comma);
    if_none_match.remove_prefix(std::min(comma + 1, if_none_match.size()));
    while (one.starts_with(' ') || one.starts_with('\t')) one.remove_prefix(1);
    while (one.ends_with(' ') || one.ends_with('\t')) one.remove_suffix(1);
    if (one == "*") return true;
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == etag) return true;
  }
  return false;
}

}  // namespace restream
