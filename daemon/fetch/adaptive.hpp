// How often to poll a channel that changes at a pace of its own (`adaptive` in the configuration): pure.
//
//   interval = √(min × max(T, s)), within min … max
//
// where s is the time since a poll last found a change, and T the mean of such times: ¾ T + ¼ s at each change found.
// Why the root: of many channels that share a number of polls, subscribers wait least in sum when each interval goes
// with the root of its channel's time between changes. docs/politeness.md has the figures.
#pragma once

#include "model/clock.hpp"

namespace restream {

struct AdaptiveRange {
  Millis min{};
  Millis max{};
  bool operator==(const AdaptiveRange&) const = default;
};

class Pace {
 public:
  // As if `interval` had been the result so far.
  Pace(AdaptiveRange range, Millis interval, SteadyTime now);

  // A poll that ended now found a change.
  void changed(SteadyTime now);
  [[nodiscard]] Millis interval(SteadyTime now) const;

 private:
  AdaptiveRange range_;
  double between_;  // T, in milliseconds
  SteadyTime found_;
};

}  // namespace restream
