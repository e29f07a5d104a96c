// How soon a plugin's host is started again after it crashed, and when it is left alone: pure.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "model/clock.hpp"

namespace restream {

class CrashRecord {
 public:
  // Another crash. 1 s, 2 s, 4 s … up to 5 min, and up to a quarter more by `random`, which is in [0, 1); nothing after
  // the fifth in ten minutes: it is to be held.
  std::optional<Millis> crashed(SteadyTime now, double random);

  [[nodiscard]] std::size_t recent() const { return crashes_.size(); }  // as of the last one

 private:
  std::deque<SteadyTime> crashes_;
};

}  // namespace restream
