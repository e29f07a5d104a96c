// What a subscriber may say, parsed and checked. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "channel/frame.hpp"
#include "model/channel_id.hpp"

namespace restream {

struct ClientMessage {
  enum class Action : std::uint8_t { subscribe, unsubscribe, unsubscribe_all };
  Action action = Action::subscribe;
  std::string channel;  // the fetcher's name; empty for unsubscribe_all only
  Params params;        // numbers and booleans are text here, as they were sent
  std::string since;
  bool snapshot = true;
  Deliver deliver = Deliver::both;
};

// `code`: bad_request, unknown_action or invalid_params.
struct MessageError {
  std::string code;
  std::string message;
};

std::expected<ClientMessage, MessageError> parse_message(std::string_view text);

}  // namespace restream
