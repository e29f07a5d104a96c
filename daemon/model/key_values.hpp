// All API keys, in the clear. Made by the keyring, handed to each fetcher in its own part only. Any thread.
#pragma once

#include <map>
#include <string>

namespace restream {

using KeyValues = std::map<std::string, std::map<std::string, std::string>>;  // fetcher -> key -> value

}  // namespace restream
