// A fetcher and its keys: those that are missing, refused, or others than before.
#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;

TEST_CASE("a missing key is told by name, and polling starts by itself once it is there") {
  World world;
  world.load();
  world.fetcher.set_keys({});
  world.fetcher.want(world.home(), {});
  world.core.advance(1h);
  CHECK(world.calls.empty());
  CHECK(world.heard == std::vector<std::string>{"news?section=home needs_key missing_key"});
  CHECK(world.last.message.find("api-key") != std::string::npos);
  world.fetcher.set_keys({{"api-key", "k-123456789"}});
  CHECK(world.calls.size() == 1);
}

namespace {

void refuse_key(World& world) {
  world.answer("{}");
  world.commit({.kind = PollVerdict::Kind::api_error, .status = 401, .problem = "who?"});
}

}  // namespace

TEST_CASE("another key ends the backoff of channels that failed as unauthorized, but not the interval") {
  World world;
  world.begin();
  for (int failures = 0; failures < 6; ++failures) {
    refuse_key(world);
    world.core.advance(failures < 5 ? 30min : 60s);
  }
  CHECK(world.last.reason == Reason::unauthorized);
  REQUIRE(world.calls.empty());

  SECTION("the same value changes nothing") {
    world.fetcher.set_keys({{"api-key", "k-123456789"}});
    world.core.advance(10min);
    CHECK(world.calls.empty());
  }
  SECTION("a new value is tried an interval after the last poll") {
    world.fetcher.set_keys({{"api-key", "k-new"}});
    CHECK(world.kept.failures == 1);
    CHECK(world.last.next_poll == world.core.clock().wall() + 40s);
    world.core.advance(40s - 1ms);
    CHECK(world.calls.empty());
    world.core.advance(1ms);
    REQUIRE(world.calls.size() == 1);
    CHECK(world.calls[0].request.text().find("k-new") != std::string::npos);
    world.poll();
    CHECK(world.last.state == State::live);
  }
  SECTION("at once when the interval is over, also with a wall clock that jumped") {
    world.core.set_wall_back(86400s);
    world.core.advance(60s);
    world.fetcher.set_keys({{"api-key", "k-new"}});
    world.core.advance(100s);
    CHECK(world.calls.size() == 1);
  }
}

TEST_CASE("a channel that fails for another reason keeps its backoff when keys change") {
  World world;
  world.begin();
  for (int failures = 0; failures < 6; ++failures) {
    world.answer("{}");
    world.commit({.kind = PollVerdict::Kind::api_error, .status = 500, .problem = "oops"});
    world.core.advance(failures < 5 ? 30min : 60s);
  }
  world.fetcher.set_keys({{"api-key", "k-new"}});
  world.core.advance(10min);
  CHECK(world.calls.empty());
}

TEST_CASE("a poll that was asked with the old key and is refused does not hold up the new one") {
  World world;
  world.begin();
  for (int failures = 0; failures < 6; ++failures) {
    refuse_key(world);
    world.core.advance(30min);
  }
  REQUIRE(world.calls.size() == 1);
  world.fetcher.set_keys({{"api-key", "k-new"}});
  refuse_key(world);
  world.core.advance(100s - 1ms);
  CHECK(world.calls.empty());
  world.core.advance(1ms);
  REQUIRE(world.calls.size() == 1);
  // The new one's own refusals back off as ever.
  refuse_key(world);
  world.core.advance(100s);
  CHECK(world.kept.failures == 2);
}

TEST_CASE("a backoff is that of the keys that were refused, also over a restart") {
  Schedule kept;
  {
    World before;
    before.begin();
    for (int failures = 0; failures < 6; ++failures) {
      if (failures > 0) before.core.advance(30min);
      refuse_key(before);
    }
    kept = before.kept;
  }
  REQUIRE(kept.failures == 6);
  REQUIRE(kept.not_before >= *kept.last_poll + 15min);
  World world;  // begins 20 seconds after that last poll
  world.core.set_wall_forward(std::chrono::ceil<Seconds>(*kept.last_poll + 20s - world.core.clock().wall()));
  world.load();
  const auto is_tried_in = [&world](Millis delay) {
    world.core.advance(delay - 1ms);
    CHECK(world.calls.empty());
    world.core.advance(1ms);
    REQUIRE(world.calls.size() == 1);
    CHECK(world.calls[0].request.text().find("k-new") != std::string::npos);
  };

  SECTION("the same keys are not tried before") {
    world.fetcher.want(world.home(), kept);
    world.core.advance(10min);
    CHECK(world.calls.empty());
  }
  SECTION("others are tried an interval after the last poll, and back off for themselves") {
    world.fetcher.set_keys({{"api-key", "k-new"}});
    world.fetcher.want(world.home(), kept);
    is_tried_in(80s);
    SECTION("refused") {
      refuse_key(world);
      CHECK(world.kept.failures == 2);
      CHECK(world.kept.refused_keys != kept.refused_keys);
    }
    SECTION("taken") {
      world.answer("{}");
      CHECK(world.results.front().schedule.refused_keys == 0);
    }
  }
  SECTION("and so are those that come later") {
    world.fetcher.want(world.home(), kept);
    world.core.advance(30s);
    world.fetcher.set_keys({{"api-key", "k-new"}});
    is_tried_in(50s);
  }
  SECTION("a key that the fetcher does not declare is none of its") {
    world.fetcher.set_keys({{"api-key", "k-123456789"}, {"another", "k-new"}});
    world.fetcher.want(world.home(), kept);
    world.core.advance(10min);
    CHECK(world.calls.empty());
  }
  SECTION("not before the API wants to be asked again") {
    kept.not_before = *kept.last_poll + 1h;
    const bool set_before = GENERATE(true, false);
    if (set_before) world.fetcher.set_keys({{"api-key", "k-new"}});
    world.fetcher.want(world.home(), kept);
    if (!set_before) world.fetcher.set_keys({{"api-key", "k-new"}});
    is_tried_in(1h - 20s);
    refuse_key(world);
    CHECK(world.kept.failures == 2);
  }
  SECTION("a failure for another reason is not the keys' affair") {
    kept.refused_keys = 0;
    world.fetcher.set_keys({{"api-key", "k-new"}});
    world.fetcher.want(world.home(), kept);
    world.core.advance(10min);
    CHECK(world.calls.empty());
  }
}
