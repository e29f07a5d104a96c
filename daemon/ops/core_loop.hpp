// How work is put on core's loop, without saying what loop it is. Tests hand in one whose time they move.
#pragma once

#include <functional>

#include "model/clock.hpp"

namespace restream {

// Sets it. See CoreLoop::alarm.
using Alarm = std::function<void(SteadyTime due)>;

struct CoreLoop {
  // Any thread. Runs `work` on core, after everything posted before.
  std::function<void(std::move_only_function<void()> work)> post;
  // Core only. Runs `work` on core at `due` or soon after; it cannot be taken back, so check on arrival what still
  // holds.
  std::function<void(SteadyTime due, std::move_only_function<void()> work)> at;
  // Core only. For a time that changes often: an alarm that runs `work` at the time it was last set to, and forgets the
  // times before; it may run once too often. It is over when it is destroyed.
  std::function<Alarm(std::function<void()> work)> alarm;
};

// A number in [0, 1): jitter.
using Random = std::function<double()>;

}  // namespace restream
