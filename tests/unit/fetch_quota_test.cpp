// Quotas as pure arithmetic: what an API says of them, what is left, and how it is spread.
#include <catch2/catch.hpp>
#include <cmath>

#include "fetch/quota.hpp"

using namespace restream;
using namespace std::chrono_literals;

namespace {

constexpr SteadyTime start{};
const WallTime wall{Seconds(1'800'000'000)};

SteadyTime at(Millis since) { return start + 1h + since; }

Quota quota_of(std::uint64_t calls, Millis per) {
  Quota quota;
  quota.set_limits({{.calls = calls, .per = per}});
  return quota;
}

// One call that is over at once.
bool call(Quota& quota, SteadyTime now) {
  if (!quota.take(1, now)) return false;
  quota.end(1, now);
  return true;
}

}  // namespace

TEST_CASE("a window of any alignment never holds more than the limit") {
  Quota quota = quota_of(30, 60s);
  std::vector<Millis> calls;
  for (Millis now{0}; now < 10min; now += 37ms)
    if (call(quota, at(now))) calls.push_back(now);
  REQUIRE(calls.size() > 30);
  for (std::size_t i = 0; i + 30 < calls.size(); ++i) CHECK(calls[i + 30] - calls[i] >= 60s);
  CHECK(calls.size() >= 290);
}

TEST_CASE("a call under way counts, and its window runs from its end") {
  Quota quota = quota_of(2, 60s);
  CHECK(quota.take(2, at(0s)));
  CHECK_FALSE(quota.take(1, at(59s)));
  CHECK_FALSE(quota.take(1, at(10min)));
  quota.end(2, at(10min));
  CHECK_FALSE(quota.take(1, at(10min + 59s)));
  CHECK(quota.take(1, at(11min + 1s)));
  quota.give_back(1);
  CHECK(quota.left(at(11min + 1s)) == 2);
}

TEST_CASE("calls that can wait leave a reserve and are spread over what is left") {
  Quota quota = quota_of(100, 100s);
  Millis now{0};
  int made = 0;
  for (; now < 100s; now += 50ms) {
    if (quota.paced_at(1, at(now)) > at(now)) continue;
    REQUIRE(call(quota, at(now)));
    quota.paced(1, at(now));
    ++made;
  }
  CHECK(made >= 90);
  CHECK(made <= 95);
  CHECK(quota.left(at(now)) >= 5);  // a first poll can go at once
  CHECK(call(quota, at(now)));
}

TEST_CASE("after a burst the rest of the window is not used up at once") {
  Quota quota = quota_of(100, 100s);
  for (int i = 0; i < 75; ++i) REQUIRE(call(quota, at(0s)));
  int made = 0;
  for (Millis now{0}; now < 90s; now += 50ms)
    if (quota.paced_at(1, at(now)) <= at(now)) {
      REQUIRE(call(quota, at(now)));
      quota.paced(1, at(now));
      ++made;
    }
  CHECK(made >= 16);
  CHECK(made <= 20);
}

TEST_CASE("what is kept over a restart holds, and what may have gone out besides counts as gone") {
  Quota before = quota_of(10, 60s);
  for (int i = 0; i < 4; ++i) REQUIRE(call(before, at(0s)));
  QuotaRecord record = before.record(at(20s), wall);
  record.ahead = 3;
  Quota after;
  after.restore(record, at(0s), wall + 10s);  // another clock: 30 s after the calls
  after.set_limits({{.calls = 10, .per = 60s}});
  CHECK(after.left(at(0s)) == 3);
  CHECK(after.left(at(31s)) == 7);
  CHECK(after.left(at(61s)) == 10);
}

TEST_CASE("a wall clock that was set back makes calls look new, never old") {
  Quota before = quota_of(10, 60s);
  REQUIRE(call(before, at(0s)));
  Quota after;
  after.restore(before.record(at(0s), wall), at(0s), wall - 24h);
  after.set_limits({{.calls = 10, .per = 60s}});
  CHECK(after.left(at(59s)) == 9);
  CHECK(after.left(at(61s)) == 10);
}

TEST_CASE("a limit that goes and comes back has forgotten nothing") {
  Quota quota = quota_of(10, 60s);
  for (int i = 0; i < 10; ++i) REQUIRE(call(quota, at(0s)));
  quota.set_limits({});
  CHECK_FALSE(quota.left(at(1s)));
  quota.set_limits({{.calls = 10, .per = 60s}});
  CHECK(quota.left(at(1s)) == 0);
}

TEST_CASE("what the API says is left is believed when it is less") {
  Quota quota = quota_of(100, 60s);
  quota.answered({.limit = 50, .left = 2, .renews_in = 30s}, at(0s));
  CHECK(quota.left(at(0s)) == 2);
  CHECK(call(quota, at(0s)));
  CHECK(call(quota, at(0s)));
  CHECK_FALSE(call(quota, at(29s)));
  CHECK(quota.free_at(1, at(29s)) >= at(30s));
  CHECK(call(quota, at(32s)));
  Quota unlimited;
  CHECK(call(unlimited, at(0s)));
  unlimited.block(at(10s));
  CHECK_FALSE(call(unlimited, at(9s)));
  CHECK(call(unlimited, at(10s)));
}

TEST_CASE("when the API has nothing left for longer than it asked to be left alone, a restart knows the longer time") {
  Quota before;
  before.answered({.limit = 50, .left = 0, .renews_in = 1h}, at(0s));
  before.block(at(60s));
  Quota after;
  after.restore(before.record(at(0s), wall), at(0s), wall);
  CHECK_FALSE(call(after, at(61s)));
  CHECK(call(after, at(1h + 2s)));
}

TEST_CASE("what is left is said with the limit that it is left of") {
  Quota quota;
  CHECK_FALSE(quota.left_of(at(0s)));
  quota.set_limits({{.calls = 10, .per = 1s}, {.calls = 1000, .per = 24h}});
  CHECK(quota.left_of(at(0s)) == 10);
  for (int second = 0; second < 100; ++second)
    for (int i = 0; i < 10; ++i) quota.take(1, at(second * 2s)), quota.end(1, at(second * 2s));
  CHECK(quota.left(at(300s)) == 0);
  CHECK(quota.left_of(at(300s)) == 1000);

  Quota api = quota_of(100, 1h);
  api.answered({.limit = 500, .left = 20, .renews_in = 60s}, at(0s));
  CHECK(api.left(at(1s)) == 20);
  CHECK(api.left_of(at(1s)) == 500);
  api.answered({.limit = {}, .left = 400, .renews_in = 60s}, at(2s));
  CHECK(api.left_of(at(2s)) == 100);
}

TEST_CASE("limits are read in all the ways in which APIs write them") {
  const auto left = [](const ApiQuota& said) { return said.left.value_or(999); };
  const auto renews = [](const ApiQuota& said) { return said.renews_in.value_or(Millis(-1)); };
  ApiQuota said = read_api_quota(
      {{"x-ratelimit-limit", "60"}, {"x-ratelimit-remaining", "12"}, {"x-ratelimit-reset", "1800000090"}}, wall);
  CHECK(said.limit == 60U);
  CHECK(left(said) == 12);
  CHECK(renews(said) == 90s);
  said = read_api_quota({{"x-rate-limit-remaining", "0"}, {"x-rate-limit-reset", "1800000060000"}}, wall);
  CHECK(left(said) == 0);
  CHECK(renews(said) == 60s);
  for (const char* far : {"1800000060000000000", "9223372036854775807", "9300000000000", "18446744073709551615"}) {
    INFO(far);  // nanoseconds, perhaps, or nonsense: not "at once"
    said = read_api_quota({{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", far}}, wall);
    CHECK(said.renews_in == 24h);
  }
  said = read_api_quota({{"ratelimit-limit", "100, 100;w=60"}, {"ratelimit-remaining", "5"}, {"ratelimit-reset", "7"}},
                        wall);
  CHECK(said.limit == 100U);
  CHECK(renews(said) == 7s);
  said = read_api_quota({{"ratelimit-policy", R"("burst";q=10;w=1, "day";q=1000;w=86400)"},
                         {"ratelimit", R"("burst";r=9;t=1, "day";r=3;t=500)"}},
                        wall);
  CHECK(said.limit == 1000U);
  CHECK(left(said) == 3);
  CHECK(renews(said) == 500s);
  // Draft 07 of the IETF's: one header of three numbers.
  said = read_api_quota({{"ratelimit", "limit=100, remaining=5, reset=7"}, {"ratelimit-policy", "100;w=60"}}, wall);
  CHECK(said.limit == 100U);
  CHECK(left(said) == 5);
  CHECK(renews(said) == 7s);
  said = read_api_quota({{"ratelimit", "Limit=100,Remaining=0"}, {"ratelimit-policy", "100;w=60"}}, wall);
  CHECK(left(said) == 0);
  CHECK(renews(said) == 60s);
  CHECK_FALSE(read_api_quota({{"ratelimit", "limit=100, remaining=some"}}, wall).left);
  CHECK_FALSE(read_api_quota({{"x-ratelimit-remaining", "many"}}, wall).left);
  CHECK(renews(read_api_quota({{"x-ratelimit-remaining", "1"}, {"x-ratelimit-reset", "999999999"}}, wall)) == 24h);
}

TEST_CASE("shares follow weights, and nobody gets more than it would use") {
  const std::vector<QuotaDemand> equal(4, QuotaDemand{.rate = 1, .weight = 1});
  CHECK(fair_share(equal, 2) == Approx(0.5));
  CHECK(std::isinf(fair_share(equal, 4)));
  CHECK(fair_share(std::vector<QuotaDemand>{{1, 1}, {1, 3}}, 1) == Approx(0.25));
  CHECK(fair_share(std::vector<QuotaDemand>{{0.1, 1}, {1, 1}}, 1) == Approx(0.9));
  CHECK(quota_weight(1) == 1);
  CHECK(quota_weight(2) == 2);
  CHECK(quota_weight(1'000'000) == 8);
}
