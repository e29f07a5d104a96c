// Where a subscriber stands in a channel's log. Opaque to clients.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace restream {

// `epoch` names one log: it is drawn at random when the log is made and changes only when the log is made anew.
// Offsets in a log start at 1 and have no holes; offset 0 is the place before the first event.
struct Position {
  std::uint64_t epoch = 0;
  std::uint64_t offset = 0;
  friend bool operator==(const Position&, const Position&) = default;
};

// "0123456789abcdef:42": 16 lower-case hex digits, a colon, the offset in decimal.
std::string to_text(Position position);

// Nothing for every text that to_text() does not make.
std::optional<Position> parse_position(std::string_view text);

}  // namespace restream
