// Items, changes and events: what a poll turns into. Values only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/clock.hpp"

namespace restream {

enum class ChangeKind : std::uint8_t { new_item = 1, updated_item = 2, removed_item = 3 };  // numbers are on disk

// "new_item", "updated_item", "removed_item": the message's `type`.
constexpr std::string_view type_text(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::new_item:
      return "new_item";
    case ChangeKind::updated_item:
      return "updated_item";
    case ChangeKind::removed_item:
      return "removed_item";
  }
  return "";
}

// What the diff says of one item. `item` holds the item's own JSON bytes (one line, never written anew), empty for a
// removed one; `patch` holds RFC 6902 operations as JSON text, for an updated one only. `undo` says what was before,
// for those who see the channel through a filter: of an updated item the operations back, of a removed one the item as
// it was last told. It is empty for a new one, and in logs of before there was such a thing.
struct Change {
  ChangeKind kind{};
  std::string id;
  std::string item;
  std::string patch;
  std::string undo;
};

// What an event counts for where a read or a queue has a limit, in bytes: its texts and a little for the message around
// them, without which those of many small events would have none.
inline std::size_t size_of(const Change& change) {
  constexpr std::size_t around = 64;
  return around + change.id.size() + change.item.size() + change.patch.size() + change.undo.size();
}

// A committed change.
struct Event {
  std::uint64_t offset = 0;
  WallTime time;
  Change change;
};

// The events of one poll: offsets after+1 … after+events.size(), without holes. Immutable once shared.
struct EventBatch {
  std::uint64_t after = 0;
  std::vector<Event> events;
  [[nodiscard]] std::uint64_t last() const { return after + events.size(); }
};

// One item of a snapshot.
struct Item {
  std::string id;
  std::string json;
};

}  // namespace restream
