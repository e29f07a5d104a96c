// The states of a channel, as subscribers hear of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/clock.hpp"

namespace restream {

enum class State : std::uint8_t { pending, live, limited, failing, needs_key, unavailable };

enum class Reason : std::uint8_t {
  none,  // pending and live have no reason; it is `null` in JSON
  rate_limited,
  quota,
  unauthorized,
  upstream_error,
  unreachable,
  timeout,
  bad_result,
  plugin_crashed,
  plugin_timeout,
  missing_key,
  removed,
  refused,
  held,
  disabled,
};

struct Status {
  State state = State::pending;
  Reason reason = Reason::none;
  std::string message = "not polled yet";  // a sentence for people; never holds a key's value
  WallTime at;
  std::optional<WallTime> next_poll;
};

std::string_view text(State state);
std::string_view text(Reason reason);  // "" for Reason::none

}  // namespace restream
