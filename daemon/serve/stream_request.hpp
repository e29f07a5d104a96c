// What a request for an event stream asks for: GET /channels/NAME?PARAMS, or GET /events?channel=…&channel=…. Pure.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "channel/feed.hpp"
#include "serve/delivery.hpp"
#include "serve/request.hpp"

namespace restream {

// Event streams of several channels.
inline constexpr std::string_view events_path = "/events";

struct StreamRequest {
  struct Channel {
    std::string fetcher;
    Params params;
    std::string since;  // empty: none
    std::string text;   // as it was named, for error messages
  };
  std::vector<Channel> channels;
  Delivery delivery;
  bool several = false;  // ids are those of a StreamId
};

// Whether the request is one for a stream: by its path, or by what it accepts.
bool asks_for_stream(const Request& request);

// `most`: how many channels one stream may have. The error is a code and a sentence.
std::expected<StreamRequest, FeedError> parse_stream_request(const Request& request, std::size_t most);

// Of a WebSocket with CloudEvents: GET /channels?channel=…&channel=…, each with a `_since` of its own or none at all.
std::expected<StreamRequest, FeedError> parse_socket_request(const Request& request, std::size_t most);

}  // namespace restream
