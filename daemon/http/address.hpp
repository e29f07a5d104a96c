// Which addresses belong to the world at large, and which to somebody's own network. Pure functions; this room's own
// (is_private_address() itself is in http_client.hpp).
#pragma once

#include <string>

namespace restream {

// An address as text, "127.0.0.1" or "fe80::1%eth0". False for what is no address.
bool is_private_text(const std::string& address);

// What can be said of a URL's host without asking a resolver: a private address, or a name that always means this very
// machine ("localhost" and all below it).
bool is_private_host(const std::string& host);

// "127.0.0.1", "::1"; "an unknown address" for other families.
std::string address_text(const void* address);

}  // namespace restream
