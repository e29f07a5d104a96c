// What the hub reads for subscribers that are behind: history, conflated too, and snapshots.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "hub_world.hpp"

using namespace restream;
using namespace restream::test;

TEST_CASE("history holds exactly the events after the cursor, and none beyond the head is not an error") {
  World world;
  const auto attached = world.attach();
  world.poll(R"([{"id":1},{"id":2},{"id":3}])");
  const HistoryChunk chunk = world.events(attached->channel, 1);
  CHECK(chunk.last == 3);
  CHECK(chunk.frames->find(R"("id":"1")") == std::string::npos);
  CHECK(chunk.frames->find(R"("id":"2")") != std::string::npos);
  CHECK_FALSE(world.events(attached->channel, 3).frames);
}

TEST_CASE("conflated history holds the newest event of each item, whole") {
  World world;
  const auto attached = world.attach();
  for (int n = 1; n <= 4; ++n) world.poll(R"([{"id":1,"n":)" + std::to_string(n) + R"(},{"id":2}])");
  std::optional<HistoryChunk> got;
  world.feed.read_events(attached->channel, 1, Form{.deliver = Deliver::item, .conflated = true}, 1000,
                         world.on_loop([&](auto reply) { got = *reply; }));
  world.run_until([&] { return got.has_value(); });
  CHECK(got->last == 5);
  const std::string& bytes = *got->frames;
  CHECK(bytes.find(R"("type":"new_item")") != std::string::npos);
  CHECK(bytes.find(R"("item":{"id":1,"n":4})") != std::string::npos);
  CHECK(bytes.find(R"("n":3)") == std::string::npos);
  CHECK(bytes.find("patch") == std::string::npos);
}

TEST_CASE("conflated history stops where many events are left, or much was looked at") {
  const Form conflated{.deliver = Deliver::item, .conflated = true};
  World world;
  const auto attached = world.attach();
  const auto items = [](int count, std::size_t size) {
    std::string text;
    for (int n = 1; n <= count; ++n)
      text +=
          (n > 1 ? ",{\"id\":" : "{\"id\":") + std::to_string(n) + R"(,"text":")" + std::string(size, 'x') + R"("})";
    return "[" + text + "]";
  };
  SECTION("of small events") {
    world.poll(items(2000, 1));
    const HistoryChunk chunk = world.events(attached->channel, 0, conflated, 6400);
    CHECK(chunk.told >= 40);
    CHECK(chunk.told <= 200);
    CHECK(chunk.last == chunk.told);
  }
  SECTION("of large ones") {
    world.poll(items(50, 200'000));
    const HistoryChunk chunk = world.events(attached->channel, 0, conflated, 6400);
    CHECK(chunk.told >= 40);
    CHECK(chunk.told <= 44);
  }
  SECTION("and where more was looked at than may be, whatever is left") {
    for (int n = 1; n <= 40; ++n) world.poll(items(1, 100'000 + static_cast<std::size_t>(n)));
    const HistoryChunk chunk = world.events(attached->channel, 0, conflated, 1'000'000);
    CHECK(chunk.told == 1);
    CHECK(chunk.last <= 33);
  }
}

TEST_CASE("many snapshots of one position share their bytes") {
  World world;
  const auto attached = world.attach();
  world.poll(R"([{"id":1}])");
  std::vector<Frames> got;
  for (int i = 0; i < 10; ++i)
    world.feed.read_snapshot(attached->channel, Form{},
                             world.on_loop([&](auto reply) { got.push_back(reply->frames); }));
  world.run_until([&] { return got.size() == 10; });
  for (const Frames& one : got) CHECK(one == got[0]);
  world.poll(R"([{"id":1},{"id":2}])");
  Frames later;
  world.feed.read_snapshot(attached->channel, Form{}, world.on_loop([&](auto reply) { later = reply->frames; }));
  world.run_until([&] { return later != nullptr; });
  CHECK(later->find(R"("id":"2")") != std::string::npos);
}

TEST_CASE("a read of events that have left the log says that they are gone") {
  World world;
  const auto attached = world.attach();
  auto rules = CommitRules{.diff = {.id_field = "id"}, .complete = true};
  rules.keep_events = 2;
  rules.events_young = Seconds{0};
  for (int n = 1; n <= 6; ++n) {
    bool done = false;
    Schedule schedule;
    schedule.last_poll = std::chrono::system_clock::now();
    world.hub.commit(make_channel_id("news", {}), std::make_shared<const CommitRules>(rules),
                     R"({"status_code":200,"result":[{"id":1,"n":)" + std::to_string(n) + "}]}", schedule,
                     [&](const PollOutcome&) { done = true; });
    world.run_until([&] { return done; });
  }
  std::optional<std::expected<HistoryChunk, HistoryProblem>> got;
  world.feed.read_events(attached->channel, 0, Form{}, 1U << 20U,
                         world.on_loop([&](auto reply) { got = std::move(reply); }));
  world.run_until([&] { return got.has_value(); });
  REQUIRE_FALSE(got->has_value());
  CHECK(got->error().gone);
}
