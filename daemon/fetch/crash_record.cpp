#include "fetch/crash_record.hpp"

#include <algorithm>

namespace restream {

namespace {

constexpr Millis first_backoff = Seconds(1);
constexpr Millis longest_backoff = std::chrono::minutes(5);
constexpr unsigned doublings = 9;  // until the longest
constexpr auto window = std::chrono::minutes(10);
constexpr std::size_t crashes_until_held = 5;

}  // namespace

std::optional<Millis> CrashRecord::crashed(SteadyTime now, double random) {
  recent_.push_back(now);
  while (recent_.front() < now - window) recent_.pop_front();
  if (recent_.size() >= crashes_until_held) return std::nullopt;
  // The wait for a restart is no proof that it runs well.
  if (now - restart_ > window) streak_ = 0;
  Millis delay = std::min(first_backoff * (1U << std::min(streak_++, doublings)), longest_backoff);
  delay += Millis(static_cast<Millis::rep>(static_cast<double>(delay.count()) * random / 4));
  restart_ = now + delay;
  return delay;
}

}  // namespace restream
