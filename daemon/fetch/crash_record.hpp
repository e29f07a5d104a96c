// How soon a plugin's host is started again after it crashed or was killed for a call that did not return, and when it
// is left alone: pure.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "model/clock.hpp"

namespace restream {

class CrashRecord {
 public:
  // Another crash. 1 s, 2 s, 4 s … up to 5 min, and up to a quarter more by `random`, which is in [0, 1), beginning
  // anew once it ran for ten minutes; nothing after the fifth crash in ten minutes: it is to be held.
  std::optional<Millis> crashed(SteadyTime now, double random);

  [[nodiscard]] std::size_t recent() const { return recent_.size(); }  // as of the last one

 private:
  std::deque<SteadyTime> recent_;  // crashes, those that may yet hold it
  unsigned streak_ = 0;            // crashes that the next delay is made of
  SteadyTime restart_{};           // when it was to be started after the last one
};

}  // namespace restream
