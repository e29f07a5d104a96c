#include "fetch/crash_record.hpp"

#include <algorithm>

namespace restream {

namespace {

constexpr Millis first_backoff = Seconds(1);
constexpr Millis longest_backoff = std::chrono::minutes(5);
constexpr auto crash_window = std::chrono::minutes(10);
constexpr std::size_t crashes_until_held = 5;

}  // namespace

std::optional<Millis> CrashRecord::crashed(SteadyTime now, double random) {
  crashes_.push_back(now);
  while (crashes_.front() < now - crash_window) crashes_.pop_front();
  if (crashes_.size() >= crashes_until_held) return std::nullopt;
  const Millis delay = std::min(first_backoff * (1U << (crashes_.size() - 1)), longest_backoff);
  return delay + Millis(static_cast<Millis::rep>(static_cast<double>(delay.count()) * random / 4));
}

}  // namespace restream
