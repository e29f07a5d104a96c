// When a channel was and may be polled. Kept in wall time, so that intervals, backoffs and Retry-After hold over a
// restart; the running timetable uses steady time.
#pragma once

#include <cstdint>
#include <optional>

#include "model/clock.hpp"

namespace restream {

struct Schedule {
  std::optional<WallTime> last_poll;   // end of the last poll, good or bad
  std::optional<WallTime> not_before;  // no poll before this
  std::uint32_t failures = 0;          // in a row
  std::uint64_t refused_keys = 0;      // the last poll failed as unauthorized, with keys of this mark; 0: it did not
  WallTime last_demand;                // when somebody last wanted the channel
};

}  // namespace restream
