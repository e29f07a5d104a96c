// How the results of a fetcher's polls become events. Values only.
#pragma once

#include <cstdint>

#include "diff/diff.hpp"
#include "model/clock.hpp"

namespace restream {

// What every channel of a fetcher shares; immutable once shared.
struct CommitRules {
  DiffRules diff;
  bool complete = false;
  std::uint64_t keep_events = 1000;
  Seconds events_age{86400};
  Seconds events_young{10};  // events younger than this stay even beyond `keep_events`
};

}  // namespace restream
