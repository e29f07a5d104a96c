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

// The answer to the first permessage-deflate (RFC 7692) among the extensions offered that we can take, with each
// message compressed for itself in both directions; empty: there is none.
std::string accept_deflate(const Request& request);

// The bytes of the 101. `protocol`, `extension`: what was chosen, or empty.
std::string handshake_bytes(const Request& request, std::string_view server, std::string_view protocol,
                            std::string_view extension);

}  // namespace restream
