// How a subscriber wants to be told. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "channel/frame.hpp"
#include "model/clock.hpp"
#include "model/filter.hpp"

namespace restream {

struct Delivery {
  Deliver deliver = Deliver::both;
  bool snapshot = true;
  bool conflate = false;                 // of what waits, the newest state of each item alone
  Seconds interval{0};                   // at most so often; conflates too
  std::shared_ptr<const Filter> filter;  // null: everything

  [[nodiscard]] bool conflated() const { return conflate || interval > Seconds{0}; }
  // Nothing to object to: a patch needs the state before it, and that is what conflating leaves out.
  [[nodiscard]] bool sound() const { return !conflated() || deliver != Deliver::patch; }
  [[nodiscard]] Form form(Framing framing) const {
    return {.framing = framing, .deliver = conflated() ? Deliver::item : deliver, .conflated = conflated()};
  }
};

inline constexpr std::string_view unsound_delivery =
    "patches cannot be conflated: with conflate or interval, updated_item holds the item; deliver must not be patch";

// "2s", "5m", "1h", or a number of seconds; from 1 s to 24 h.
std::optional<Seconds> parse_interval(std::string_view text);
inline constexpr std::string_view interval_form = "a duration from 1s to 24h, such as 2s or 5m";

}  // namespace restream
