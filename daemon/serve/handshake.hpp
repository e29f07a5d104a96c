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

// What is agreed on of permessage-deflate (RFC 7692): each message is compressed for itself, in both directions.
struct Deflating {
  std::string extension;  // the header's value; empty: there is none
  // False for a client that wants a smaller window than what is compressed once for everybody has: it may compress, and
  // is sent plain messages.
  bool ours = false;
};
// The first among the extensions offered that we can take; one whose messages we compress goes before the others.
Deflating accept_deflate(const Request& request);

// The bytes of the 101. `protocol`, `extension`: what was chosen, or empty.
std::string handshake_bytes(const Request& request, std::string_view server, std::string_view protocol,
                            std::string_view extension);

}  // namespace restream
