// What the built-in channel restream-status has: every room's state, as items, written down in one place. Runs on:
// core.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "channel/documents.hpp"

namespace restream {

// A JSON array of `items` (JSON objects) and one for each of `channels`; but not of the built-in channel itself: that
// somebody looks is no news.
std::string status_page(std::vector<std::string> items, std::span<const ChannelEntry> channels);

}  // namespace restream
