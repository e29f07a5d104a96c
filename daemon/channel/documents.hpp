// The JSON documents of the HTTP side. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "channel/feed.hpp"
#include "model/channel_id.hpp"
#include "model/status.hpp"
#include "store/store.hpp"

namespace restream {

// What GET /channels says of one channel. Points at what the caller owns.
struct ChannelEntry {
  const ChannelId* id = nullptr;
  const std::string* label = nullptr;
  const Status* status = nullptr;
  const ChannelRecord* record = nullptr;
  std::size_t subscribers = 0;
};

Document channels_document(std::span<const ChannelEntry> channels);

// The snapshot message and `state`; the ETag is strong, over the content.
Document snapshot_document(std::string_view label, const Snapshot& snapshot, const Status& status);

// Of all fetchers in {"fetchers": […]} those that may be seen; `refused_files` for those who may see the daemon's own
// channel.
Document visible_fetchers(const Document& document, const Access& access);

// {"type": "error", "code", "message"} with the HTTP status that fits the code.
Document error_document(const FeedError& error);

}  // namespace restream
