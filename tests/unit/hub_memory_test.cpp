// What the hub keeps of channels that nobody follows.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hub_world.hpp"

using namespace restream;
using namespace restream::test;

TEST_CASE(
    "of a channel whose polls have stopped no fingerprints stay in memory, and nothing is told twice afterwards") {
  World world;
  const auto first = world.attach();
  world.poll(R"([{"id":1},{"id":2}])");
  CHECK(world.store.stats().known.value() == 1);
  world.feed.detach(0, first->channel, Form{});
  world.run_until([&] { return world.demand.size() == 2; });
  world.hub.idle(make_channel_id("news", {}));
  world.run_until([&] { return world.store.stats().known.value() == 0; });
  world.attach();
  const PollOutcome outcome = world.poll(R"([{"id":1},{"id":2,"n":1}])");
  CHECK(outcome.events->after == 2);
  CHECK(outcome.head.offset == 3);
  CHECK(world.store.stats().known.value() == 1);
}

TEST_CASE("of channels that come and go only so many are remembered, those that were wanted last") {
  World world(HubLimits{.channels = 2});
  const auto now = std::chrono::system_clock::now();
  const auto come_and_go = [&](int number) {
    const Params params{{"n", std::to_string(number)}};
    const ChannelId id = make_channel_id("news", params);
    const auto attached = world.attach(params);
    REQUIRE(attached);
    world.poll(R"([{"id":1}])", params);
    Schedule schedule;
    schedule.last_poll = now;
    schedule.last_demand = now + std::chrono::seconds(number);
    world.hub.keep(id, schedule);
    const std::size_t heard = world.demand.size();
    world.feed.detach(0, attached->channel, Form{});
    world.run_until([&] { return world.demand.size() > heard; });
    world.hub.idle(id);
    return id.text;
  };
  const auto remembered = [&] {
    std::optional<std::set<std::string>> ids;
    world.store.read(
        [&](Store& store) {
          std::set<std::string> found;
          for (const ChannelRecord& record : store.channels()) found.insert(record.channel);
          boost::asio::post(world.io, [&ids, found = std::move(found)] { ids = found; });
        },
        [](const std::string&) {});
    world.run_until([&] { return ids.has_value(); });
    return *ids;
  };
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(come_and_go(i));
  CHECK(remembered().size() == 20);
  ids.push_back(come_and_go(20));
  CHECK(remembered() == std::set<std::string>(ids.begin() + 3, ids.end()));
}

TEST_CASE("a channel that is followed counts as asked for all the time, also when its polls fail or stop") {
  World world;
  WallTime now = std::chrono::floor<Millis>(std::chrono::system_clock::now());
  std::vector<std::move_only_function<void()>> later;
  Hub::Surroundings around = world.surroundings();
  around.clock.wall = [&now] { return now; };
  around.loop.at = [&later](SteadyTime, std::move_only_function<void()> work) { later.push_back(std::move(work)); };
  Hub hub(std::move(around), {}, {}, world.hooks());
  const ChannelId id = make_channel_id("news", {});
  const auto last_demand = [&] {
    std::optional<WallTime> got;
    world.store.read(
        [&](Store& store) {
          const auto record = store.channel(id.text);
          boost::asio::post(world.io, [&got, record] { got = record ? record->schedule.last_demand : WallTime(); });
        },
        [](const std::string&) {});
    world.run_until([&] { return got.has_value(); });
    return *got;
  };
  // Schedules that wait are written with the next poll.
  const auto write = [&](const std::string& items) { world.poll(items, {{"n", "other"}}); };
  REQUIRE(world.attach({{"n", "other"}}));

  hub.pin(id);
  hub.keep(id, {.last_poll = now, .last_demand = now - std::chrono::days(31)});  // as of when it began to be followed
  write(R"([{"id":1}])");
  CHECK(last_demand() == now);
  now += std::chrono::days(31);
  for (auto& work : std::exchange(later, {})) work();
  write(R"([{"id":2}])");
  CHECK(last_demand() == now);
}

TEST_CASE("of channels that nobody asked for in a long time a few are forgotten at once, until none is left") {
  const auto left_after = [](int looks) {
    World world;
    std::vector<std::move_only_function<void()>> later;
    Hub::Surroundings around = world.surroundings();
    around.loop.at = [&later](SteadyTime, std::move_only_function<void()> work) { later.push_back(std::move(work)); };
    std::vector<ChannelRecord> records;
    for (int i = 0; i < 120; ++i) records.push_back({.channel = "news?n=" + std::to_string(i)});
    Hub hub(std::move(around), {}, records, world.hooks());
    for (int i = 0; i < looks; ++i)
      for (auto& work : std::exchange(later, {})) work();
    return std::ranges::count_if(records,
                                 [&](const ChannelRecord& one) { return hub.forget(one.channel).has_value(); });
  };
  CHECK(left_after(0) == 70);
  CHECK(left_after(1) == 20);
  CHECK(left_after(2) == 0);
}
