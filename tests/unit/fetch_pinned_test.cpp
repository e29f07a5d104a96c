// Channels that the configuration pins: polled always, but not all at once.
#include <random>

#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;

namespace {

struct Pinned : World {
  Pinned() {
    random = [this] { return std::uniform_real_distribution<double>(0.0, 1.0)(engine); };
    load();
  }
  ChannelId channel(int number) { return *fetcher.resolve({{"section", std::to_string(number)}}); }

  std::mt19937 engine{7};
};

}  // namespace

TEST_CASE("10,000 pinned channels of one fetcher begin evenly within one interval, also after a long pause") {
  Schedule known;
  SECTION("that were never polled") {}
  SECTION("that are overdue") {
    known.last_poll = WallTime(Seconds(1'700'000'000));
    known.not_before = *known.last_poll + 100s;
  }
  Pinned world;
  for (int i = 0; i < 10'000; ++i) world.fetcher.want(world.channel(i), known, false);
  world.core.advance(0ms);
  CHECK(world.calls.size() >= 8);
  CHECK(world.calls.size() < 20);
  std::size_t before = 0;
  for (int tenth = 0; tenth < 10; ++tenth) {
    world.core.advance(10s);
    const std::size_t polls = world.calls.size() - before;
    before = world.calls.size();
    CHECK(polls > 700);
    CHECK(polls < 1300);
  }
  CHECK(world.calls.size() == 10'000);
}

TEST_CASE("a handful of pinned channels begin at once") {
  Pinned world;
  for (int i = 0; i < 8; ++i) world.fetcher.want(world.channel(i), {}, false);
  world.core.advance(0ms);
  CHECK(world.calls.size() == 8);
}

TEST_CASE("a pinned channel whose time has not come is polled when it has") {
  Pinned world;
  Schedule known;
  known.last_poll = world.core.clock().wall();
  known.not_before = *known.last_poll + 60s;
  for (int i = 0; i < 100; ++i) world.fetcher.want(world.channel(i), known, false);
  world.core.advance(59s);
  CHECK(world.calls.empty());
  world.core.advance(1s);
  CHECK(world.calls.size() == 100);
}

TEST_CASE("who comes for a channel whose first poll was put off is served at once") {
  Pinned world;
  world.random = [] { return 0.9; };
  for (int i = 0; i < 20; ++i) world.fetcher.want(world.channel(i), {}, false);
  for (int i = 0; i < 20; ++i) world.fetcher.set_subscribers(world.channel(i).text, 1);  // the pins themselves
  world.core.advance(1s);
  REQUIRE(world.calls.size() == 8);
  SECTION("beside the pin") { world.fetcher.set_subscribers(world.channel(15).text, 2); }
  SECTION("after it was taken away") {
    world.fetcher.unwant(world.channel(15).text);
    world.fetcher.want(world.channel(15), {});
  }
  world.core.advance(0ms);
  CHECK(world.calls.size() == 9);
  world.core.advance(89s);
  CHECK(world.calls.size() == 20);
}

TEST_CASE("channels that somebody waits for begin at once, however many") {
  Pinned world;
  for (int i = 0; i < 1000; ++i) world.fetcher.want(world.channel(i), {});
  world.core.advance(0ms);
  CHECK(world.calls.size() == 1000);
}
