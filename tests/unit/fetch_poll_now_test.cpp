// "Poll this channel now", said by a person: at once, but within the quota, and with an answer that says why not.
#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;

namespace {

const std::string home = "news?section=home";

FetcherSettings counted(std::uint64_t calls, Millis per) {
  return {.name = "news",
          .plugin = "news",
          .poll_interval = 5s,
          .force_interval = true,
          .quota = QuotaLimit{.calls = calls, .per = per}};
}

std::string why_not(World& world, const std::string& channel = home) {
  const auto begun = world.fetcher.poll_soon(channel);
  REQUIRE_FALSE(begun);
  return begun.error();
}

std::string said(World& world) {
  const auto begun = world.fetcher.poll_soon(home);
  if (!begun) FAIL(begun.error());
  return *begun;
}

}  // namespace

TEST_CASE("a channel is polled now, whatever its next time is, and the interval runs from there") {
  World world;
  world.begin();
  CHECK(said(world) == home + " is being polled already");
  world.poll();
  world.core.advance(10s);
  CHECK(said(world) == "polling " + home + " now");
  world.poll();
  world.core.advance(99s);
  CHECK(world.calls.empty());
  world.core.advance(1s);
  CHECK(world.calls.size() == 1);
}

TEST_CASE("now means at once as long as the quota has a call left, and not before the next one when it has none") {
  World world(counted(3, 24h));
  world.begin();
  world.poll();
  for (int i = 0; i < 2; ++i) {
    world.core.advance(1s);
    CHECK(said(world) == "polling " + home + " now");
    REQUIRE(world.calls.size() == 1);
    world.poll();
  }
  const std::vector<std::string> heard = world.heard;
  const Status last = world.last;
  const std::string reason = why_not(world);
  const std::optional<WallTime> free = world.fetcher.quota()->free;
  REQUIRE(free);
  CHECK(reason == home + " is not polled now: no call of its quota (3 a day) is left before " + rfc3339(*free) +
                      "; by itself it is polled at " + rfc3339(*last.next_poll));
  CHECK(world.calls.empty());
  CHECK(world.heard == heard);
  CHECK(world.last.next_poll == last.next_poll);

  // And again when it has come due by itself, and waits.
  world.core.advance(10s);
  CHECK(world.last.reason == Reason::quota);
  CHECK(why_not(world).find("before " + rfc3339(*free)) != std::string::npos);
  const auto left = std::chrono::duration_cast<Millis>(*free - world.core.clock().wall());
  CHECK(left > 23h);
  world.core.advance(left - 1s);
  static_cast<void>(why_not(world));
  CHECK(world.calls.empty());
  world.core.advance(2s);
  if (world.calls.empty()) CHECK(said(world) == "polling " + home + " now");
  CHECK(world.calls.size() == 1);
}

TEST_CASE("a poll that waits for its turn in the quota goes at once when somebody says now") {
  World world(counted(6, 60s));
  world.begin();
  world.poll();
  world.core.advance(5s);
  world.poll();
  world.core.advance(5s);
  REQUIRE(world.calls.empty());  // due, but six calls a minute are one every ten seconds
  CHECK(said(world) == "polling " + home + " now");
  REQUIRE(world.calls.size() == 1);
  world.poll();
  CHECK(world.fetcher.quota()->left == 3);
}

TEST_CASE("what keeps a channel from being polled now is told, and what to do") {
  World world;
  SECTION("nobody follows it") {
    world.load();
    CHECK(why_not(world) == "nobody follows " + home + ", so it is not polled; subscribe to it, or pin it, first");
  }
  SECTION("a key is missing") {
    world.load();
    world.fetcher.set_keys({});
    world.fetcher.want(world.home(), {});
    world.core.advance(0ms);
    CHECK(why_not(world).find("restream-keys set news api-key") != std::string::npos);
  }
  SECTION("its plugin is down, or gone") {
    world.begin();
    world.poll();
    world.fetcher.plugin_changed(PluginState::restarting, "signal 11");
    CHECK(why_not(world) == home + " is not polled now: its plugin is down: signal 11");
    world.fetcher.plugin_changed(PluginState::removed, "news.so was removed");
    CHECK(why_not(world) == home + " is not polled now: news.so was removed");
    CHECK(world.calls.empty());
  }
  SECTION("the API has asked for a pause") {
    const int status = GENERATE(429, 403, 500);
    world.begin();
    world.answer("{}", RESTREAM_OK, {.retry_after = 1h});
    world.commit({.kind = PollVerdict::Kind::api_error, .status = status, .problem = "slow down"});
    const WallTime until = world.core.clock().wall() + 1h;
    world.core.advance(30min);
    CHECK(why_not(world) == home + " is not polled now: the API has asked for no request before " + rfc3339(until));
    CHECK(world.calls.empty());
  }
}

TEST_CASE("a long pause that the API asked for stands in the way of a poll now after a restart, too") {
  World world;
  const WallTime now = world.core.clock().wall();
  const auto follow = [&](Seconds rest) {
    Schedule kept{.last_poll = now, .not_before = now + rest};
    kept.failures = 1;
    world.load();
    world.fetcher.want(world.home(), kept);
    world.core.advance(1s);
  };
  SECTION("longer than any backoff") {
    follow(1h);
    CHECK(why_not(world) == home + " is not polled now: the API has asked for no request before " + rfc3339(now + 1h));
  }
  SECTION("not longer") {
    follow(30min);
    CHECK(said(world) == "polling " + home + " now");
  }
}

TEST_CASE("a backoff of ours after a restart does not, however slow the adaptive interval may be") {
  World world({.name = "news", .plugin = "news", .adaptive = AdaptiveRange{.min = 60s, .max = 2h}});
  const WallTime now = world.core.clock().wall();
  Schedule kept{.last_poll = now, .not_before = now + 100min};
  kept.failures = 1;
  world.load();
  world.fetcher.want(world.home(), kept);
  world.core.advance(1s);
  CHECK(said(world) == "polling " + home + " now");
}

TEST_CASE("a backoff of ours, or how long an answer is fresh, does not stand in the way of a poll now") {
  World world;
  world.begin();
  SECTION("a backoff") { world.answer("{}"); }
  SECTION("an answer that is fresh for long") { world.answer("{}", RESTREAM_OK, {.fresh_for = 2h}); }
  world.commit({.kind = PollVerdict::Kind::api_error, .status = 429, .problem = "slow down"});
  world.core.advance(1s);
  CHECK(said(world) == "polling " + home + " now");
  CHECK(world.calls.size() == 1);
}
