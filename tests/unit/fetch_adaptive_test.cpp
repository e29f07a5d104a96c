// The interval that follows a channel's own rate of change.
#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;

namespace {

constexpr AdaptiveRange range{.min = 1min, .max = 1h};
const SteadyTime start{};

// A channel that changes every `between`, polled by its pace for so many polls: the intervals that came of it.
Millis settled(Millis between, int polls) {
  Pace pace(range, range.min, start);
  SteadyTime now = start;
  SteadyTime next_change = start + between;
  Millis interval{0};
  for (int i = 0; i < polls; ++i) {
    interval = pace.interval(now);
    now += interval;
    if (next_change > now) continue;
    while (next_change <= now) next_change += between;
    pace.changed(now);
  }
  return interval;
}

FetcherSettings adaptive_settings(AdaptiveRange given, bool force = false) {
  return {.name = "news", .plugin = "news", .force_interval = force, .adaptive = given};
}

// How long until the next call, in whole steps.
Millis until_called(World& world, Millis step, Millis most) {
  for (Millis waited{0}; waited <= most; waited += step) {
    if (!world.calls.empty()) return waited;
    world.core.advance(step);
  }
  return Millis(-1);
}

}  // namespace

TEST_CASE("an adaptive interval settles at the root of the least one times the time between changes") {
  CHECK(settled(16min, 1000) > 3min);
  CHECK(settled(16min, 1000) < 5min + 30s);  // √(1 × 16) = 4; the last change is up to an interval longer ago
  CHECK(settled(10s, 200) == 1min);
  CHECK(settled(240h, 5000) == 1h);
}

TEST_CASE("an adaptive interval begins where the interval is, and stretches while nothing changes") {
  Pace pace(range, 5min, start);
  CHECK(pace.interval(start) == 5min);
  CHECK(pace.interval(start + 20min) == 5min);  // √(1 × 25): nothing is known to be slower yet
  CHECK(pace.interval(start + 100min) == 10min);
  CHECK(pace.interval(start + 240h) == 1h);
  pace.changed(start + 100min);
  CHECK(pace.interval(start + 100min) == Millis(396'862));  // T = ¾ × 25 + ¼ × 100 minutes
  CHECK(Pace(range, 1s, start).interval(start) == 1min);
  CHECK(Pace(range, 24h, start).interval(start) == 1h);
}

TEST_CASE("a channel that changes is polled more often, one that does not less, within the range") {
  World world(adaptive_settings({.min = 100s, .max = 1000s}));
  world.begin();
  Millis last{0};
  for (int i = 0; i < 60; ++i) {
    world.poll();
    last = until_called(world, 1s, 2000s);
  }
  CHECK(last == 1000s);
  world.answer(R"({"status_code":200,"result":[]})");
  world.commit({.changed = true});
  const Millis after_change = until_called(world, 1s, 2000s);
  CHECK(after_change >= 900s);  // a change after a long silence says little yet
  for (int i = 0; i < 60; ++i) {
    world.answer(R"({"status_code":200,"result":[]})");
    world.commit({.changed = true});
    last = until_called(world, 1s, 2000s);
  }
  CHECK(last < 105s);  // the root of what it was, again and again
}

TEST_CASE("what an adaptive interval had become is there again after a restart") {
  Schedule kept;
  {
    World world(adaptive_settings({.min = 100s, .max = 1000s}));
    world.begin();
    for (int i = 0; i < 60; ++i) {
      world.answer(R"({"status_code":200,"result":[]})");
      kept = world.results.front().schedule;
      world.commit();
      until_called(world, 1s, 2000s);
    }
  }
  World world(adaptive_settings({.min = 100s, .max = 1000s}));
  world.load();
  const WallTime now = world.core.clock().wall();
  const auto shift = now - *kept.not_before;
  kept.last_poll = *kept.last_poll + shift;
  kept.not_before = now;
  world.fetcher.want(world.home(), kept);
  world.core.advance(0ms);
  world.poll();
  CHECK(until_called(world, 1s, 2000s) == 1000s);
}

TEST_CASE("an adaptive interval is never below the fetcher's own, unless it is forced") {
  for (const auto& [forced, expected] : {std::pair(false, Millis(100s)), std::pair(true, Millis(12s))}) {
    World world(adaptive_settings({.min = 10s, .max = 20s}, forced));
    world.begin();
    for (int i = 0; i < 20; ++i) {
      REQUIRE(world.calls.size() == 1);
      world.answer(R"({"status_code":200,"result":[]})");
      world.commit({.changed = true});
      if (i < 19) until_called(world, 1s, 200s);
    }
    const Millis interval = until_called(world, 1s, 200s);
    CHECK(interval <= expected);
    CHECK(interval >= (forced ? 10s : 100s));
  }
}

TEST_CASE("what the API asks for stretches an adaptive interval as any other, and a failure backs off from it") {
  World world(adaptive_settings({.min = 100s, .max = 1000s}));
  world.begin();
  PluginReply reply;
  reply.kind = PluginReply::Kind::returned;
  reply.output = R"({"status_code":200,"result":[]})";
  reply.hints.retry_after = 700s;
  world.take_call().done(std::move(reply));
  world.commit({.changed = true});
  CHECK(until_called(world, 1s, 2000s) == 700s);
  world.answer("", RESTREAM_FAILED);
  CHECK(until_called(world, 1s, 2000s) >= 100s);
}
