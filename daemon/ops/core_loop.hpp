// How work is put on core's loop, without saying what loop it is. Tests hand in one whose time they move.
#pragma once

#include <functional>

#include "model/clock.hpp"

namespace restream {

struct CoreLoop {
  // Any thread. Runs `work` on core, after everything posted before.
  std::function<void(std::move_only_function<void()> work)> post;
  // Core only. Runs `work` on core at `due` or soon after; it cannot be taken back, so check on arrival what still
  // holds.
  std::function<void(SteadyTime due, std::move_only_function<void()> work)> at;
};

// A number in [0, 1): jitter.
using Random = std::function<double()>;

}  // namespace restream
