// A pause that the API asked for holds, whatever becomes of the poll that heard of it.
#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;

namespace {

void check_rests(World& world) {
  world.core.advance(59min);
  CHECK(world.calls.empty());
  CHECK_FALSE(world.fetcher.poll_soon("news?section=home"));
  world.core.advance(1min);
  CHECK(world.calls.size() == 1);
}

}  // namespace

TEST_CASE("a pause that the API asked for holds when the poll could not be written") {
  World world;
  world.begin();
  SECTION("of a channel that was polled before") {
    world.poll();
    world.core.advance(100s);
  }
  SECTION("of one that was not") {}
  world.answer(R"({"status_code":200,"result":[]})", RESTREAM_OK, {.retry_after = 1h});
  world.commit({.kind = PollVerdict::Kind::store_failed, .problem = "disk full"});
  CHECK(world.kept.not_before == world.core.clock().wall() + 1h);
  CHECK(world.kept.failures == 0);
  CHECK(world.last.next_poll == world.core.clock().wall() + 1h);
  check_rests(world);
}

TEST_CASE("a pause that the API asked for holds when the poll could not be written and its channel had ended by then") {
  World world;
  world.begin();
  world.answer(R"({"status_code":200,"result":[]})", RESTREAM_OK, {.retry_after = 1h});
  world.fetcher.plugin_changed(PluginState::removed, "news.so was removed");
  world.commit({.kind = PollVerdict::Kind::store_failed, .problem = "disk full"});
  world.load();
  check_rests(world);
}

TEST_CASE("a pause that the API asked for of a poll that was cancelled holds") {
  World world;
  world.begin();
  world.fetcher.unwant(world.home().text);
  world.core.advance(60s);
  REQUIRE(world.cancelled.size() == 1);
  const WallTime until = world.core.clock().wall() + 1h;
  SECTION("for who comes meanwhile") {
    world.fetcher.want(world.home(), {});
    world.answer("", RESTREAM_FAILED, {.retry_after = 1h});
    CHECK(world.kept.not_before == until);
    CHECK(world.last.next_poll == until);
  }
  SECTION("for who comes later") {
    world.answer("", RESTREAM_FAILED, {.retry_after = 1h});
    CHECK(world.idle.size() == 1);
    CHECK(world.kept.not_before == until);
    world.fetcher.want(world.home(), world.kept);
  }
  check_rests(world);
}

TEST_CASE("a pause that the API asked for holds when the call was lost and is tried again") {
  World world;
  world.begin();
  PluginReply lost;
  lost.kind = PluginReply::Kind::retry;
  lost.hints.retry_after = 1h;
  world.take_call().done(std::move(lost));
  CHECK(world.last.next_poll == world.core.clock().wall() + 1h);
  check_rests(world);
}

TEST_CASE("a pause that the API asked for with a good answer stands in the way of a poll now") {
  World world;
  world.begin();
  world.answer(R"({"status_code":200,"result":[]})", RESTREAM_OK, {.retry_after = 1h});
  world.commit();
  check_rests(world);
}
