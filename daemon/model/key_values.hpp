// All API keys, in the clear. Made by the keyring, handed to each fetcher in its own part only. Any thread.
//
// Each value is wiped when it is replaced or goes, and so are a fetch's request, the frame that takes it to the
// plugin's process, and the old values that the log looked for. Not wiped: what the plugin's process makes of it, the
// HTTP request with the key in it (libcurl's and OpenSSL's buffers among them), copies on the stack, and what swap
// takes: unlike keys::Secret this is ordinary memory. docs/keys.md tells the user so.
#pragma once

#include <map>
#include <string>

#include "model/secret_text.hpp"

namespace restream {

using FetcherKeys = std::map<std::string, SecretText>;  // key -> value
using KeyValues = std::map<std::string, FetcherKeys>;   // fetcher -> its keys

}  // namespace restream
