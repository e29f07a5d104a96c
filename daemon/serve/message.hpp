// What a subscriber may say, parsed and checked. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "model/channel_id.hpp"
#include "serve/delivery.hpp"

namespace restream {

struct ClientMessage {
  enum class Action : std::uint8_t { subscribe, unsubscribe, unsubscribe_all };
  Action action = Action::subscribe;
  std::string channel;  // the fetcher's name; empty for unsubscribe_all only
  Params params;        // numbers and booleans are text here, as they were sent
  std::string since;
  Delivery delivery;
};

// `code`: bad_request, unknown_action or invalid_params.
struct MessageError {
  std::string code;
  std::string message;
};

std::expected<ClientMessage, MessageError> parse_message(std::string_view text);

}  // namespace restream
