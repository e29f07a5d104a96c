// When to poll next: pure. State, hints and a random number go in, a delay comes out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/clock.hpp"
#include "model/schedule.hpp"

namespace restream {

// What an API said about when it wants to be asked again. Each is at most 24 hours.
struct Hints {
  std::optional<Millis> retry_after;    // Retry-After
  std::optional<Millis> fresh_for;      // Cache-Control: max-age less Age, or Expires less Date
  std::optional<Millis> poll_interval;  // X-Poll-Interval
};

// What counts of a poll of several requests: of each the longest that any answer asked for.
Hints longest_of(const Hints& one, const Hints& other);

// Reads them from an answer's headers (names in lower case). `now` is for Retry-After given as a date.
Hints read_hints(const std::vector<std::pair<std::string, std::string>>& headers, WallTime now);

// After a good poll: the longest of the interval and the hints, and up to 5 % more. `random` is in [0, 1).
Millis delay_after_success(Millis interval, const Hints& hints, double random);

// After `failures` (1 or more) bad polls in a row: the interval doubled each time, at most 30 minutes (or the interval,
// where that is longer), between half and all of it by `random`, but never less than the interval or the hints.
Millis delay_after_failure(Millis interval, unsigned failures, const Hints& hints, double random);

// Until when the API has asked for no request, as far as what is kept over a restart tells: after a failure only what
// is longer than any backoff does, and of a channel that was never polled nothing else is kept. `interval`: the longest
// that there may be.
std::optional<WallTime> rest_asked_for(Millis interval, const Schedule& schedule);

// For a channel that is wanted now: how long until its first poll. Zero unless its interval, a backoff or a Retry-After
// still runs. A clock that was set back cannot make it longer than it was at the end of the last poll; nor than 24
// hours (or the interval, where that is longer).
Millis delay_of_first(Millis interval, const Schedule& schedule, WallTime now);

}  // namespace restream
