#include "fetch/adaptive.hpp"

#include <algorithm>
#include <cmath>

namespace restream {

namespace {

constexpr double newest = 0.25;  // what the newest time between two changes counts for

double in_ms(SteadyTime::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

}  // namespace

Pace::Pace(AdaptiveRange range, Millis interval, SteadyTime now) : range_(range), found_(now) {
  const double start = in_ms(std::clamp(interval, range.min, range.max));
  between_ = start * start / in_ms(range.min);
}

void Pace::changed(SteadyTime now) {
  between_ += newest * (in_ms(now - found_) - between_);
  found_ = now;
}

Millis Pace::interval(SteadyTime now) const {
  const double quiet = std::max(between_, in_ms(now - found_));
  const double root = std::sqrt(in_ms(range_.min) * quiet);
  return Millis(static_cast<Millis::rep>(std::clamp(root, in_ms(range_.min), in_ms(range_.max))));
}

}  // namespace restream
