#include "fetch/quota.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace restream {

namespace {

// Calls that end within one of so many parts of a window are counted as one, at the end of the part.
constexpr int parts = 256;
// For clocks that do not run equally fast, and a packet that was slow: a call counts this much longer than its window.
constexpr int margin_part = 2048;
constexpr std::uint64_t reserve_percent = 5;
constexpr Millis longest = std::chrono::hours(24);
constexpr std::uint64_t most_left = 1'000'000'000'000;  // that an API is believed
constexpr Millis look_again{20};  // where only calls under way stand in the way: their end is what counts

double millis(SteadyTime::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

SteadyTime::duration span_of(double milliseconds) {
  const double most = millis(longest) * 31;
  return std::chrono::duration_cast<SteadyTime::duration>(
      std::chrono::duration<double, std::milli>(std::min(milliseconds, most)));
}

SteadyTime::duration lifetime(const QuotaLimit& limit) {
  return limit.per + std::chrono::duration_cast<SteadyTime::duration>(limit.per) / margin_part;
}

// Without the reserve, which is for first polls, redirects and further pages.
std::uint64_t plannable(std::uint64_t calls) { return calls - calls * reserve_percent / 100; }

}  // namespace

void Quota::set_limits(std::vector<QuotaLimit> limits) {
  // What is not limited any more is remembered all the same: the limit may come back.
  for (Window& window : windows_) kept_.push_back(std::move(window));
  windows_.clear();
  for (const QuotaLimit& limit : limits) {
    const auto before = std::ranges::find(kept_, limit.per, [](const Window& one) { return one.limit.per; });
    if (before != kept_.end()) {
      windows_.push_back(std::move(*before));
      kept_.erase(before);
    } else {
      windows_.emplace_back();
      if (restored_ahead_.calls > 0) windows_.back().uses.push_back(restored_ahead_);
      windows_.back().used = restored_ahead_.calls;
    }
    windows_.back().limit = limit;
  }
  limits_ = std::move(limits);
}

void Quota::expire(SteadyTime now) {
  for (Window& window : windows_)
    while (!window.uses.empty() && window.uses.front().end + lifetime(window.limit) <= now) {
      window.used -= window.uses.front().calls;
      window.uses.pop_front();
    }
  std::erase_if(
      kept_, [now](const Window& one) { return one.uses.empty() || one.uses.back().end + lifetime(one.limit) <= now; });
  if (api_left_ && api_renews_ <= now) api_left_.reset();
  if (blocked_ && *blocked_ <= now) blocked_.reset();
}

void Quota::add(Window& window, std::uint64_t calls, SteadyTime end) {
  const auto part = std::max<SteadyTime::duration>(window.limit.per / parts, Millis(1));
  const SteadyTime rounded{(end.time_since_epoch() + part - SteadyTime::duration(1)) / part * part};
  window.used += calls;
  if (!window.uses.empty() && window.uses.back().end >= rounded)
    window.uses.back().calls += calls;
  else
    window.uses.push_back({rounded, calls});
}

bool Quota::take(unsigned calls, SteadyTime now) {
  if (free_at(calls, now) > now) return false;
  under_way_ += calls;
  if (api_holds(now)) *api_left_ -= calls;
  return true;
}

void Quota::end(unsigned calls, SteadyTime now) {
  expire(now);
  under_way_ -= std::min<std::uint64_t>(under_way_, calls);
  for (Window& window : windows_) add(window, calls, now);
}

void Quota::give_back(unsigned calls) {
  under_way_ -= std::min<std::uint64_t>(under_way_, calls);
  if (api_left_) *api_left_ += calls;
}

bool Quota::still_allows(SteadyTime now) {
  expire(now);
  return !blocked_ && api_left_.value_or(0) >= 0;
}

void Quota::answered(const ApiQuota& said, SteadyTime now) {
  if (said.limit) api_limit_ = said.limit;
  if (!said.left || !said.renews_in) return;
  // Times come in whole seconds; the last one of the old window may go on for nearly one more.
  api_renews_ = now + *said.renews_in + Seconds(1);
  api_left_ = static_cast<std::int64_t>(std::min(*said.left, most_left)) - static_cast<std::int64_t>(under_way_);
}

void Quota::block(SteadyTime until) {
  if (!blocked_ || *blocked_ < until) blocked_ = until;
}

std::optional<std::uint64_t> Quota::left(SteadyTime now) {
  expire(now);
  std::optional<std::uint64_t> least;
  const auto take_less = [&least](std::uint64_t value) { least = std::min(least.value_or(value), value); };
  for (const Window& window : windows_) {
    const std::uint64_t used = window.used + under_way_;
    take_less(window.limit.calls - std::min(window.limit.calls, used));
  }
  if (api_left_) take_less(api_free());
  if (blocked_) take_less(0);
  return least;
}

std::optional<std::uint64_t> Quota::left_of(SteadyTime now) {
  expire(now);
  std::optional<std::pair<std::uint64_t, std::optional<std::uint64_t>>> least;  // what is left, of what
  if (api_left_) least.emplace(api_free(), api_limit_);
  for (const Window& window : windows_) {
    const std::uint64_t most = window.limit.calls;
    const std::uint64_t left = most - std::min(most, window.used + under_way_);
    if (!least || left < least->first || !least->second) least.emplace(left, most);
  }
  return least ? least->second : std::nullopt;
}

std::optional<SteadyTime> Quota::renews(SteadyTime now) {
  expire(now);
  std::optional<SteadyTime> next;
  for (const Window& window : windows_)
    if (!window.uses.empty()) {
      const SteadyTime back = window.uses.front().end + lifetime(window.limit);
      next = std::max(next.value_or(back), back);
    }
  if (api_left_) next = std::max(next.value_or(api_renews_), api_renews_);
  if (blocked_) next = std::max(next.value_or(*blocked_), *blocked_);
  return next;
}

SteadyTime Quota::free_at(const Window& window, std::uint64_t most, unsigned calls, SteadyTime now) const {
  std::uint64_t used = window.used + under_way_;
  if (used + calls <= most) return now;
  for (const Use& use : window.uses) {
    used -= use.calls;
    if (used + calls <= most) return std::max(now, use.end + lifetime(window.limit));
  }
  return now + look_again;
}

SteadyTime Quota::free_at(unsigned calls, SteadyTime now) {
  expire(now);
  SteadyTime free = now;
  for (const Window& window : windows_) free = std::max(free, free_at(window, window.limit.calls, calls, now));
  if (api_holds(now) && api_free() < calls) free = std::max(free, api_renews_);
  if (blocked_) free = std::max(free, *blocked_);
  return free;
}

SteadyTime Quota::paced_at(unsigned calls, SteadyTime now) {
  SteadyTime free = free_at(calls, now);
  for (const Window& window : windows_)
    free = std::max(free, free_at(window, plannable(window.limit.calls), calls, now));
  if (last_paced_) free = std::max(free, *last_paced_ + span_of(spacing(now)));
  return free;
}

void Quota::paced(unsigned calls, SteadyTime now) {
  // A timer that was late does not slow the next one down, within bounds.
  const auto distance = span_of(spacing(now));
  last_paced_ = std::clamp(last_paced_ ? *last_paced_ + distance : now, now - distance / 2, now);
  if (calls > 1) *last_paced_ += span_of(spacing(now) * (calls - 1));
}

void Quota::repace(int calls, SteadyTime now) {
  if (last_paced_) *last_paced_ += span_of(std::abs(calls) * spacing(now)) * (calls < 0 ? -1 : 1);
}

// The smallest even distance between calls, from now on, that never runs out: neither before the calls that were made
// come back nor in the long run.
double Quota::spacing(SteadyTime now) const {
  double distance = 0;
  for (const Window& window : windows_) {
    const auto most = static_cast<double>(plannable(window.limit.calls));
    distance = std::max(distance, millis(lifetime(window.limit)) / most);
    double free = most - static_cast<double>(window.used + under_way_);
    for (const Use& use : window.uses) {
      if (free > 0.5) distance = std::max(distance, millis(use.end + lifetime(window.limit) - now) / free);
      free += static_cast<double>(use.calls);
    }
  }
  if (api_holds(now) && *api_left_ > 0) {
    const std::uint64_t most = plannable(api_free());
    distance = std::max(distance, millis(api_renews_ - now) / static_cast<double>(most));
  }
  return distance;
}

double Quota::rate(SteadyTime now) const {
  double rate = std::numeric_limits<double>::infinity();
  for (const Window& window : windows_)
    rate = std::min(rate, static_cast<double>(plannable(window.limit.calls)) / millis(lifetime(window.limit)));
  if (api_holds(now))
    rate = std::min(rate, static_cast<double>(plannable(api_free())) / std::max(1.0, millis(api_renews_ - now)));
  return rate;
}

QuotaRecord Quota::record(SteadyTime now, WallTime wall) {
  expire(now);
  const auto wall_of = [&](SteadyTime time) {
    return std::chrono::floor<Millis>(wall + std::chrono::duration_cast<WallTime::duration>(time - now)) + Millis(1);
  };
  QuotaRecord record;
  const auto add_all = [&](const std::vector<Window>& windows) {
    for (const Window& window : windows) {
      if (window.uses.empty()) continue;
      QuotaWindow& kept = record.windows.emplace_back(QuotaWindow{.per = window.limit.per, .uses = {}});
      for (const Use& use : window.uses) kept.uses.push_back({wall_of(use.end), use.calls});
    }
  };
  add_all(windows_);
  add_all(kept_);
  record.ahead = under_way_;  // they end later than this is written
  if (blocked_) {
    record.api_left = 0;
    record.api_renews = wall_of(api_left_ && api_free() == 0 ? std::max(*blocked_, api_renews_) : *blocked_);
  } else if (api_left_) {
    record.api_left =  // whoever restores it takes off what is ahead
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, *api_left_ + static_cast<std::int64_t>(under_way_)));
    record.api_renews = wall_of(api_renews_);
  }
  return record;
}

void Quota::restore(const QuotaRecord& kept, SteadyTime now, WallTime wall) {
  // A clock that was set back would make calls of the future: they count as just made.
  const auto steady_of = [&](WallTime time) {
    return now + std::chrono::duration_cast<SteadyTime::duration>(std::min(time, wall) - wall);
  };
  restored_ahead_ = {now, kept.ahead};
  for (const QuotaWindow& one : kept.windows) {
    Window& window = kept_.emplace_back(Window{.limit = {.calls = 0, .per = one.per}, .uses = {}, .used = 0});
    for (const QuotaUse& use : one.uses) add(window, use.calls, steady_of(use.end));
    if (kept.ahead > 0) add(window, kept.ahead, now);
  }
  if (kept.api_renews && *kept.api_renews > wall) {
    api_renews_ = now + std::min<SteadyTime::duration>(
                            std::chrono::duration_cast<SteadyTime::duration>(*kept.api_renews - wall), longest);
    const std::uint64_t left = std::min(kept.api_left.value_or(0), most_left);
    api_left_ = static_cast<std::int64_t>(left - std::min(left, kept.ahead));
  }
}

double quota_weight(std::size_t subscribers) {
  return std::min(8.0, 1.0 + std::log2(static_cast<double>(std::max<std::size_t>(1, subscribers))));
}

double fair_share(std::span<const QuotaDemand> demands, double rate) {
  constexpr double enough = std::numeric_limits<double>::infinity();
  double wanted = 0;
  for (const QuotaDemand& one : demands) wanted += one.rate;
  if (wanted <= rate) return enough;
  // Those who want less than their share leave the rest to the others; sorted by how soon they have enough.
  std::vector<QuotaDemand> sorted(demands.begin(), demands.end());
  std::ranges::sort(sorted, {}, [](const QuotaDemand& one) { return one.rate / one.weight; });
  double weights = 0;
  for (const QuotaDemand& one : sorted) weights += one.weight;
  double left = rate;
  for (const QuotaDemand& one : sorted) {
    if (one.rate / one.weight >= left / weights) break;
    left -= one.rate;
    weights -= one.weight;
  }
  return left / weights;
}

}  // namespace restream
