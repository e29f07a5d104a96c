// Messages as bytes: the one place that knows their JSON and how it stands on the wire. Pure; may be used on any
// thread.
//
// Frames are complete, ready for the socket: unfragmented, unmasked WebSocket text frames, or blocks of an event
// stream. Those with a compressed payload say so in their first byte. A buffer of several in a row is still one buffer.
// Frames are immutable and shared by every subscriber.
#pragma once

#include <array>
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

class Deflater;

using Frames = std::shared_ptr<const std::string>;

// What `updated_item` holds: item and patch, item alone, patch alone.
enum class Deliver : std::uint8_t { both, item, patch };
inline constexpr std::size_t deliver_forms = 3;

// How a message stands on the wire: as a WebSocket frame, as one that is compressed (permessage-deflate), as a block
// of a text/event-stream, or as a WebSocket frame around a CloudEvent.
enum class Framing : std::uint8_t { websocket, websocket_deflate, sse, cloudevents };
inline constexpr std::size_t framings = 4;

// Names one of the filters that a channel's subscribers have, while it runs; 0: none.
using FilterNumber = std::uint32_t;

// What a subscriber takes: one of the encodings of a channel's events.
struct Form {
  Framing framing = Framing::websocket;
  Deliver deliver = Deliver::both;
  // From the log only the newest event of each item. The events of one poll are never two of one item, so live ones are
  // encoded as for everybody else.
  bool conflated = false;
  FilterNumber filter = 0;  // given by core
  // Of the encoding, whatever the filter.
  [[nodiscard]] std::size_t index() const {
    return static_cast<std::size_t>(framing) * deliver_forms + static_cast<std::size_t>(deliver);
  }
};
inline constexpr std::size_t forms = framings * deliver_forms;
inline Form form_at(std::size_t index) {
  return {.framing = static_cast<Framing>(index / deliver_forms),
          .deliver = static_cast<Deliver>(index % deliver_forms)};
}

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

// Appends one text frame around `payload`; with a Deflater the payload goes compressed, unless that makes it longer.
void append_frame(std::string& out, std::string_view payload, Deflater* deflater = nullptr);
Frames frame(std::string_view payload);

// Appends one block: `id:` (unless it is empty), `event:`, `data:`, an empty line; LF alone ends lines. Line ends
// within the JSON (an API may indent its items) make further `data:` lines, which readers join again.
void append_block(std::string& out, std::string_view type, std::string_view id, std::string_view json);
// One message. `type`, `id` (the position, or nothing) and `label` (of a message about a channel) say again what the
// JSON says.
Frames encode(Framing framing, std::string_view type, std::string_view id, std::string_view json,
              std::string_view label = {});

// One message in every framing.
std::array<Frames, framings> encode_all(std::string_view type, std::string_view id, std::string_view json,
                                        std::string_view label);

// A CloudEvent (1.0, JSON): `data` is the message. `event`: which it tells of, or null.
std::string cloud_event_json(std::string_view source, std::string_view type, std::string_view id, std::string_view json,
                             const Event* event = nullptr);

// All events of a batch, one frame or block each, in one buffer.
Frames frame_events(std::string_view label, std::uint64_t epoch, std::span<const Event> events, Form form);

}  // namespace restream
