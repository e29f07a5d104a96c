// What a subscriber may say, parsed and checked. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
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

// The value of `select` or `where` alone, as JSON text, into a filter. Says what is wrong with it.
std::optional<MessageError> parse_filter_field(std::string_view field, std::string_view text, Filter& into);

}  // namespace restream
