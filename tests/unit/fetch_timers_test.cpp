// How many timers wait on core's loop: it cannot be that they become more with every poll.
#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;

namespace {

std::shared_ptr<Allowance> ask(QuotaMember& member, const std::string& channel) {
  const auto got = std::make_shared<std::shared_ptr<Allowance>>();
  member.ask(
      channel, 1s, false,
      {.go = [got](std::shared_ptr<Allowance> allowance) { *got = std::move(allowance); }, .wait = [](WallTime) {}});
  return *got;
}

}  // namespace

TEST_CASE("one timer waits for all channels of a fetcher, however different their intervals are and however long") {
  World world;
  world.load();
  for (const std::string section : {"home", "world", "sports"}) {
    world.fetcher.want(*world.fetcher.resolve({{"section", section}}), {});
  }
  std::size_t polls = 0;
  for (int step = 0; step < 24 * 360; ++step) {
    world.core.advance(10s);
    for (; !world.calls.empty(); ++polls) {
      const bool rare = world.calls.front().request.text().find("home") == std::string::npos;
      world.answer(R"({"status_code":200,"result":[]})", RESTREAM_OK,
                   {.poll_interval = rare ? std::optional<Millis>(7h) : std::nullopt});
      world.commit();
    }
  }
  CHECK(polls > 860);
  CHECK(world.core.timers() <= 1);
}

TEST_CASE("subscribers that come and go leave no timers behind") {
  World world;
  world.begin();
  world.poll();
  const std::string home = world.home().text;
  for (int i = 0; i < 1000; ++i) {
    world.fetcher.want(world.home(), {});
    world.core.advance(1ms);
    world.fetcher.unwant(home);
  }
  CHECK(world.core.timers() <= 1);
  world.core.advance(59s);
  CHECK(world.idle.empty());
  world.core.advance(1s);
  CHECK(world.idle == std::vector<std::string>{home});
  CHECK(world.core.timers() == 0);
}

TEST_CASE("one timer waits for a budget, however many channels ask") {
  FakeCore core;
  QuotaBook book({.loop = core.loop(), .clock = core.clock(), .write = [](QuotaRecord, auto done) { done(true); }}, {});
  const auto member = book.join();
  member->set_terms({.credential = "c", .limit = QuotaLimit{.calls = 1000, .per = 24h}});
  std::size_t polls = 0;
  std::size_t most = 0;
  for (int i = 0; i < 24 * 3600; ++i) {
    core.advance(1s);
    if (const auto allowance = ask(*member, std::to_string(i % 5000))) {
      if (allowance->take()) allowance->end(1);
      allowance->finish();
      ++polls;
    }
    most = std::max(most, core.timers());
  }
  CHECK(polls > 0);
  CHECK(most <= 1);
}
