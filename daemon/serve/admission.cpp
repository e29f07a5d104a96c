#include "serve/admission.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "model/channel_id.hpp"
#include "serve/stream_request.hpp"

namespace restream {

namespace {

constexpr std::string_view protocol_header = "sec-websocket-protocol";
constexpr std::string_view bearer_protocol = "bearer.";
constexpr std::string_view bearer_scheme = "bearer ";

std::vector<std::string_view> offered_protocols(const Request& request) {
  std::vector<std::string_view> out;
  for (const auto& [name, value] : request.headers) {
    if (name != protocol_header) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      std::string_view one = rest.substr(0, comma);
      while (one.starts_with(' ') || one.starts_with('\t')) one.remove_prefix(1);
      while (one.ends_with(' ') || one.ends_with('\t')) one.remove_suffix(1);
      if (!one.empty()) out.push_back(one);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return out;
}

// Nothing: no token was shown.
std::optional<std::string_view> shown_token(const Request& request) {
  if (request.has("authorization")) {
    std::string_view value = request.header("authorization");
    const bool bearer = value.size() > bearer_scheme.size() &&
                        std::ranges::equal(value.substr(0, bearer_scheme.size()), bearer_scheme, [](char a, char b) {
                          return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
                        });
    if (!bearer) return std::nullopt;
    value.remove_prefix(bearer_scheme.size());
    while (value.starts_with(' ')) value.remove_prefix(1);
    return value;
  }
  if (!request.upgrade()) return std::nullopt;
  for (const std::string_view one : offered_protocols(request))
    if (one.starts_with(bearer_protocol)) return one.substr(bearer_protocol.size());
  return std::nullopt;
}

std::optional<std::string> shown_ticket(const Request& request) {
  if (!asks_for_stream(request)) return std::nullopt;
  const auto query = parse_query(request.query);
  if (!query) return std::nullopt;
  const auto found = std::ranges::find(query->own, "_ticket", &Params::value_type::first);
  return found == query->own.end() ? std::nullopt : std::optional(found->second);
}

Answer unauthorized(std::string_view challenge, std::string_view message) {
  Answer answer = error_answer(401, "unauthorized", message);
  answer.headers.emplace_back("WWW-Authenticate", challenge);
  return answer;
}

Answer invalid(std::string_view message) {
  return unauthorized(R"(Bearer realm="restream", error="invalid_token")", message);
}

}  // namespace

std::string_view Admission::ended(const Loop& loop) {
  if (!token_) return loop.tokens() ? "a token is needed" : "";
  if (generation_ != loop.tokens_generation()) {
    generation_ = loop.tokens_generation();
    // Where tokens are no longer asked for, there is nothing to be revoked.
    if (loop.tokens() && !loop.tokens()->find_again(*token_)) return "revoked";
  }
  return token_->expired(loop.clock().wall()) ? "expired" : "";
}

std::expected<Admission, Answer> admit(Loop& loop, const Request& request) {
  if (!loop.tokens()) return Admission();
  std::shared_ptr<const Token> token;
  if (const auto shown = shown_token(request)) {
    token = loop.tokens()->find(*shown);
    if (!token) return std::unexpected(invalid("this token is not known here; ask the operator for one"));
  } else if (const auto ticket = shown_ticket(request)) {
    token = loop.tickets().redeem(*ticket, loop.clock().steady());
    if (token) token = loop.tokens()->find_again(*token);
    if (!token)
      return std::unexpected(
          invalid("this ticket is not known, was used before, or is older than 30 s; get another by POST /tickets"));
  } else {
    return std::unexpected(unauthorized(
        R"(Bearer realm="restream")",
        "a token is needed: send 'Authorization: Bearer TOKEN', or offer the WebSocket subprotocol bearer.TOKEN"));
  }
  if (token->expired(loop.clock().wall()))
    return std::unexpected(invalid("this token has expired; ask the operator for another one"));
  return Admission(std::move(token), loop.tokens_generation());
}

std::string subprotocol(const Request& request) {
  const auto offered = offered_protocols(request);
  const auto is_token = [](std::string_view one) { return one.starts_with(bearer_protocol); };
  if (std::ranges::find(offered, cloudevents_protocol) != offered.end()) return std::string(cloudevents_protocol);
  if (std::ranges::none_of(offered, is_token)) return {};
  const auto other = std::ranges::find_if_not(offered, is_token);
  return other == offered.end() ? std::string() : std::string(*other);
}

}  // namespace restream
