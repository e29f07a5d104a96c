#include "fetch/verdicts.hpp"

#include <restream/fetcher.h>

#include <algorithm>

namespace restream {

namespace {

constexpr std::size_t max_text = 300;  // of an API's own words in a message

std::string cut(const std::string& text) {
  if (text.size() <= max_text) return text;
  std::size_t end = max_text;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // not inside a UTF-8 character
  return text.substr(0, end) + "…";
}

std::string joined(std::string sentence, const std::string& detail) {
  if (!detail.empty()) sentence += ": " + cut(detail);
  return sentence;
}

}  // namespace

Failure failure_of_status(int status, const std::string& text, const Hints& hints, const std::vector<int>& limited) {
  const std::string answered = "the API answered " + std::to_string(status);
  if (status == 429 || std::ranges::find(limited, status) != limited.end() || (status == 503 && hints.retry_after))
    return {State::limited, Reason::rate_limited, joined(answered + ", too many requests", text)};
  if (status == 401 || status == 403)
    return {State::failing, Reason::unauthorized, joined(answered + "; check the fetcher's keys", text)};
  return {State::failing, Reason::upstream_error, joined(answered, text)};
}

Failure failure_of_reply(const PluginReply& reply) {
  switch (reply.kind) {
    case PluginReply::Kind::timed_out:
      return {State::failing, Reason::plugin_timeout, "the plugin did not return in time and was killed"};
    case PluginReply::Kind::crashed:
    case PluginReply::Kind::retry:
      return {State::failing, Reason::plugin_crashed,
              joined(joined("the plugin's host ended", reply.problem), reply.last_line)};
    case PluginReply::Kind::returned:
      break;
  }
  if (reply.http_problem) {
    switch (*reply.http_problem) {
      case HttpProblem::timeout:
        return {State::failing, Reason::timeout, reply.http_message};
      case HttpProblem::unreachable:
        return {State::failing, Reason::unreachable, reply.http_message};
      case HttpProblem::too_large:
        return {State::failing, Reason::bad_result, reply.http_message};
      case HttpProblem::quota:
        return {State::limited, Reason::quota, reply.http_message};
      case HttpProblem::refused:
        return {State::failing, Reason::upstream_error, reply.http_message};
      case HttpProblem::bad_request:
      case HttpProblem::cancelled:
        return {State::failing, Reason::bad_result, reply.http_message};
    }
  }
  const std::string code = "the plugin returned code " + std::to_string(reply.code);
  if (reply.code == RESTREAM_TOO_LARGE) return {State::failing, Reason::bad_result, "the plugin's result is too large"};
  return {State::failing, Reason::bad_result, joined(code, reply.last_line)};
}

}  // namespace restream
