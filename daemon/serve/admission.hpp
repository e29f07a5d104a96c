// Whether a request may come in, and whether a connection may stay. Runs on: serve.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "serve/answer.hpp"
#include "serve/loop.hpp"
#include "serve/request.hpp"
#include "serve/tokens.hpp"

namespace restream {

// What a connection came in with. Without tokens in the configuration it is empty, and lasts until there are some.
class Admission {
 public:
  Admission() = default;
  Admission(std::shared_ptr<const Token> token, std::uint64_t generation)
      : token_(std::move(token)), generation_(generation) {}

  [[nodiscard]] Access access() const { return token_ ? token_->access : nullptr; }
  [[nodiscard]] const std::shared_ptr<const Token>& token() const { return token_; }
  // Why it is over: "expired", or "revoked" when the tokens were read anew and this one is gone or changed, or that a
  // token is needed where none was before. Empty: it is not over.
  std::string_view ended(const Loop& loop);

 private:
  std::shared_ptr<const Token> token_;
  std::uint64_t generation_ = 0;  // of the tokens it was last compared with
};

// By `Authorization: Bearer`, by the subprotocol `bearer.TOKEN` of a WebSocket, or by the `_ticket` of an event stream.
// Otherwise the 401.
std::expected<Admission, Answer> admit(Loop& loop, const Request& request);

// The subprotocol of a WebSocket on which all messages are CloudEvents.
inline constexpr std::string_view cloudevents_protocol = "cloudevents.json";

// The subprotocol to answer with: that one, or one that is offered beside `bearer.TOKEN`. Empty: none.
std::string subprotocol(const Request& request);

}  // namespace restream
