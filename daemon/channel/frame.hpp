// Messages as bytes: the one place that knows their JSON and their WebSocket framing. Pure; may be used on any thread.
//
// Frames are complete, unfragmented, unmasked text frames, ready for the socket. A buffer of several frames in a row is
// still one buffer. Frames are immutable and shared by every subscriber.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/channel_id.hpp"
#include "model/event.hpp"
#include "model/position.hpp"
#include "model/status.hpp"

namespace restream {

using Frames = std::shared_ptr<const std::string>;

// What `updated_item` holds: item and patch, item alone, patch alone.
enum class Deliver : std::uint8_t { both, item, patch };
inline constexpr std::size_t deliver_forms = 3;

// `"channel":"nyt-top","params":{"section":"world"}`: the part that every message of a channel has in common.
std::string channel_label(const ChannelId& id);

std::string json_string(std::string_view text);  // quoted; bytes that are not UTF-8 become U+FFFD

// JSON texts.
std::string ready_json(std::string_view version);
std::string subscribed_json(std::string_view label, Position position, bool resumed);
std::string event_json(std::string_view label, std::uint64_t epoch, const Event& event, Deliver deliver);
// `extra` is put before the closing brace as it stands, e.g. `,"state":"live"`.
std::string snapshot_json(std::string_view label, Position position, std::span<const Item> items,
                          std::string_view extra = {});
std::string status_json(std::string_view label, const Status& status);
std::string unsubscribed_json(std::string_view label);
std::string unsubscribed_all_json(std::size_t count);
// `request` is what was sent: JSON when it is JSON, else a JSON string of it, cut at 1 KiB.
std::string error_json(std::string_view code, std::string_view message, std::string_view request);

// Appends one text frame around `payload`.
void append_frame(std::string& out, std::string_view payload);
Frames frame(std::string_view payload);

// All events of a batch, one frame each, in one buffer.
Frames frame_events(std::string_view label, std::uint64_t epoch, std::span<const Event> events, Deliver deliver);

}  // namespace restream
