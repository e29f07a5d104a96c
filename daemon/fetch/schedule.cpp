#include "fetch/schedule.hpp"

#include <algorithm>
#include <charconv>

#include "http/text.hpp"

namespace restream {

namespace {

constexpr Millis longest_hint = std::chrono::hours(24);
constexpr Millis longest_backoff = std::chrono::minutes(30);
constexpr double jitter = 0.05;

std::optional<Millis> seconds_of(std::string_view text) {
  text = trim(text);
  long value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec == std::errc::result_out_of_range) return longest_hint;
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size() || value < 0) return std::nullopt;
  return std::min<Millis>(Seconds(std::min<long>(value, 86400)), longest_hint);
}

Millis clamp_hint(Millis delay) { return std::clamp(delay, Millis(0), longest_hint); }

Millis scaled(Millis delay, double factor) {
  return Millis(static_cast<Millis::rep>(static_cast<double>(delay.count()) * factor));
}

Millis longest(Millis delay, const Hints& hints) {
  return std::max({delay, hints.retry_after.value_or(Millis(0)), hints.fresh_for.value_or(Millis(0)),
                   hints.poll_interval.value_or(Millis(0))});
}

std::optional<Millis> max_age_of(std::string_view cache_control) {
  while (!cache_control.empty()) {
    const std::size_t comma = std::min(cache_control.find(','), cache_control.size());
    const std::string_view directive = cache_control.substr(0, comma);
    cache_control.remove_prefix(std::min(comma + 1, cache_control.size()));
    const std::size_t equals = directive.find('=');
    if (equals == std::string_view::npos || lower(trim(directive.substr(0, equals))) != "max-age") continue;
    std::string_view value = trim(directive.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    return seconds_of(value);
  }
  return std::nullopt;
}

}  // namespace

Hints read_hints(const std::vector<std::pair<std::string, std::string>>& headers, WallTime now) {
  const auto find = [&](std::string_view name) -> const std::string* {
    const auto found =
        std::ranges::find(headers, name, [](const auto& header) { return std::string_view(header.first); });
    return found == headers.end() ? nullptr : &found->second;
  };
  const auto until = [](WallTime then, WallTime since) {
    return clamp_hint(std::chrono::duration_cast<Millis>(then - since));
  };
  Hints hints;
  if (const std::string* value = find("retry-after")) {
    hints.retry_after = seconds_of(*value);
    if (!hints.retry_after)
      if (const auto date = parse_http_date(*value)) hints.retry_after = until(*date, now);
  }
  if (const std::string* value = find("x-poll-interval")) hints.poll_interval = seconds_of(*value);
  for (const auto& [name, value] : headers)  // a list, which may come in several headers
    if (name == "cache-control" && !hints.fresh_for) hints.fresh_for = max_age_of(value);
  if (hints.fresh_for) {
    const std::string* age = find("age");
    if (const auto old = age != nullptr ? seconds_of(*age) : std::nullopt)
      hints.fresh_for = clamp_hint(*hints.fresh_for - *old);
  } else if (const std::string* value = find("expires")) {
    const std::string* date = find("date");
    const auto sent = date != nullptr ? parse_http_date(*date) : std::nullopt;
    if (const auto expires = parse_http_date(*value)) hints.fresh_for = until(*expires, sent.value_or(now));
  }
  return hints;
}

Hints longest_of(const Hints& one, const Hints& other) {
  // Nothing is less than anything.
  return {.retry_after = std::max(one.retry_after, other.retry_after),
          .fresh_for = std::max(one.fresh_for, other.fresh_for),
          .poll_interval = std::max(one.poll_interval, other.poll_interval)};
}

Millis delay_after_success(Millis interval, const Hints& hints, double random) {
  return scaled(longest(interval, hints), 1.0 + jitter * random);
}

Millis delay_after_failure(Millis interval, unsigned failures, const Hints& hints, double random) {
  const Millis most = std::max(longest_backoff, interval);
  Millis backoff = interval;
  for (unsigned i = 1; i < failures && backoff < most; ++i) backoff *= 2;
  backoff = std::min(backoff, most);
  const Millis jittered = std::max(interval, scaled(backoff, 0.5 + random / 2));
  return longest(jittered, hints);
}

std::optional<WallTime> rest_asked_for(Millis interval, const Schedule& schedule) {
  if (!schedule.last_poll) return schedule.not_before;
  if (schedule.failures == 0 || !schedule.not_before) return std::nullopt;
  const bool beyond_backoff = *schedule.not_before - *schedule.last_poll > std::max(longest_backoff, interval);
  return beyond_backoff ? schedule.not_before : std::nullopt;
}

Millis delay_of_first(Millis interval, const Schedule& schedule, WallTime now) {
  if (!schedule.not_before) return Millis(0);
  // By a clock that has not been set back since, `now` is after the last poll.
  const WallTime since = std::max(now, schedule.last_poll.value_or(now));
  const auto left = std::chrono::ceil<Millis>(*schedule.not_before - since);
  return std::clamp(left, Millis(0), std::max(longest_hint, interval));
}

}  // namespace restream
