// The answer that turns a request into a WebSocket (RFC 6455, section 4.2). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "serve/answer.hpp"
#include "serve/request.hpp"

namespace restream {

// What is wrong with it as a handshake; none if nothing is.
std::optional<Answer> handshake_refusal(const Request& request);

// The bytes of the 101. `protocol`: the subprotocol that was chosen, or empty.
std::string handshake_bytes(const Request& request, std::string_view server, std::string_view protocol);

}  // namespace restream
