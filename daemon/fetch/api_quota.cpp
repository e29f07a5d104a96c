// Reads what APIs say of their limits. There is no one way to say it; what is not understood is not there.
#include <algorithm>
#include <charconv>
#include <string_view>

#include "fetch/quota.hpp"
#include "http/text.hpp"

namespace restream {

namespace {

constexpr Millis longest = std::chrono::hours(24);

using Headers = std::vector<std::pair<std::string, std::string>>;

// The whole number at the front: "100, 100;w=60" is 100, as is "100.0".
std::optional<std::uint64_t> number_of(std::string_view text) {
  text = trim(text);
  std::uint64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc{}) return std::nullopt;
  const std::string_view rest = trim(text.substr(static_cast<std::size_t>(end.ptr - text.data())));
  if (!rest.empty() && rest.front() != ',' && rest.front() != ';' && rest.front() != '.') return std::nullopt;
  return value;
}

const std::string* find(const Headers& headers, std::string_view name) {
  for (const auto& [one, value] : headers)
    if (one == name) return &value;
  return nullptr;
}

Millis capped(std::uint64_t seconds) {
  return std::min<Millis>(Seconds(std::min<std::uint64_t>(seconds, 86400)), longest);
}

// Seconds from now, or a time in seconds or milliseconds since 1970.
Millis reset_in(std::uint64_t value, WallTime now) {
  constexpr std::uint64_t surely_a_time = 1'000'000'000;
  constexpr std::uint64_t latest = 1000ULL << 33U;  // the year 2242, in milliseconds: a WallTime ends soon after
  if (value < surely_a_time) return capped(value);
  const std::uint64_t in_millis = value < surely_a_time * 1000 ? value * 1000 : value;
  const Millis since_1970(std::min(in_millis, latest));
  const auto left = std::chrono::ceil<Millis>(since_1970 - now.time_since_epoch());
  return std::clamp<Millis>(left, Millis(0), longest);
}

// Members of a structured list: `"name";q=100;w=60, "other";q=5` -> calls each() with every name and its parameters.
template <typename Each>
void each_policy(std::string_view text, Each each) {
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view member = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const std::size_t semicolon = std::min(member.find(';'), member.size());
    const std::string_view name = trim(member.substr(0, semicolon));
    std::vector<std::pair<std::string_view, std::uint64_t>> parameters;
    member.remove_prefix(std::min(semicolon + 1, member.size()));
    while (!member.empty()) {
      const std::size_t end = std::min(member.find(';'), member.size());
      const std::string_view one = member.substr(0, end);
      member.remove_prefix(std::min(end + 1, member.size()));
      const std::size_t equals = one.find('=');
      if (equals == std::string_view::npos) continue;
      if (const auto value = number_of(one.substr(equals + 1)))
        parameters.emplace_back(trim(one.substr(0, equals)), *value);
    }
    each(name, parameters);
  }
}

template <typename Parameters>
std::optional<std::uint64_t> parameter(const Parameters& parameters, std::string_view name) {
  for (const auto& [one, value] : parameters)
    if (one == name) return value;
  return std::nullopt;
}

// As draft 07 of the IETF's has it, and draft-7 of express-rate-limit: `limit=100, remaining=5, reset=7`, with
// `RateLimit-Policy: 100;w=60`.
std::optional<ApiQuota> read_dictionary(std::string_view text, const std::string* policy, WallTime now) {
  ApiQuota said;
  each_policy(text, [&](std::string_view member, const auto&) {
    const std::size_t equals = member.find('=');
    if (equals == std::string_view::npos) return;
    const std::string name = lower(trim(member.substr(0, equals)));
    const auto value = number_of(member.substr(equals + 1));
    if (name == "limit") said.limit = value;
    if (name == "remaining") said.left = value;
    if (name == "reset" && value) said.renews_in = reset_in(*value, now);
  });
  if (!said.left) return std::nullopt;
  if (policy != nullptr && !said.renews_in)
    each_policy(*policy, [&](std::string_view limit, const auto& parameters) {
      const auto window = parameter(parameters, "w");
      if (window && number_of(limit) == said.limit) said.renews_in = capped(*window);
    });
  return said;
}

std::optional<ApiQuota> read_structured(const Headers& headers, WallTime time) {
  const std::string* now = find(headers, "ratelimit");
  if (now == nullptr) return std::nullopt;
  if (auto said = read_dictionary(*now, find(headers, "ratelimit-policy"), time)) return said;
  std::optional<ApiQuota> tightest;
  each_policy(*now, [&](std::string_view name, const auto& parameters) {
    ApiQuota one{.limit = {}, .left = parameter(parameters, "r"), .renews_in = {}};
    if (!one.left) return;
    if (const auto seconds = parameter(parameters, "t")) one.renews_in = capped(*seconds);
    if (const std::string* policy = find(headers, "ratelimit-policy"))
      each_policy(*policy, [&](std::string_view other, const auto& said) {
        if (other != name) return;
        one.limit = parameter(said, "q");
        if (const auto window = parameter(said, "w"); window && !one.renews_in) one.renews_in = capped(*window);
      });
    if (!tightest || *one.left < *tightest->left) tightest = one;
  });
  return tightest;
}

}  // namespace

ApiQuota read_api_quota(const Headers& headers, WallTime now) {
  if (auto said = read_structured(headers, now)) return *said;
  for (const std::string_view prefix : {"ratelimit-", "x-ratelimit-", "x-rate-limit-"}) {
    const auto number = [&](std::string_view what) -> std::optional<std::uint64_t> {
      const std::string* text = find(headers, std::string(prefix) + std::string(what));
      return text == nullptr ? std::nullopt : number_of(*text);
    };
    ApiQuota said{.limit = number("limit"), .left = number("remaining"), .renews_in = {}};
    if (!said.left) continue;
    if (const auto reset = number("reset")) said.renews_in = reset_in(*reset, now);
    return said;
  }
  return {};
}

}  // namespace restream
