// Polls whose events take long to encode: core goes on meanwhile, and nobody sees a gap or a repetition.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "hub_world.hpp"

using namespace restream;
using namespace restream::test;
using nlohmann::json;

namespace {

std::shared_ptr<const Filter> only(const std::string& member) {
  return std::make_shared<const Filter>(Filter{.select = std::vector<std::string>{"/" + member}, .where = {}});
}

// Items of 4 MB together, all of them changed by every poll.
std::string many(int poll) {
  json items = json::array();
  for (int i = 0; i < 400; ++i) {
    json item = {{"id", i}, {"poll", poll}};
    for (int member = 0; member < 100; ++member)
      item["member" + std::to_string(member)] = "value " + std::to_string(poll) + std::string(80, 'x');
    items.push_back(item);
  }
  return items.dump();
}

void start_poll(World& world, const std::string& items, bool& done) {
  done = false;
  world.hub.commit(make_channel_id("news", {}),
                   std::make_shared<const CommitRules>(CommitRules{.diff = {.id_field = "id"}, .complete = true}),
                   R"({"status_code":200,"result":)" + items + "}", {},
                   [&done](const PollOutcome& outcome) { done = outcome.kind == PollOutcome::Kind::committed; });
}

}  // namespace

TEST_CASE("While the events of a poll are encoded core goes on, and who attaches has them behind them") {
  World world;
  std::vector<Attached> filtered;
  for (int i = 0; i < 8; ++i)
    filtered.push_back(world.attach({}, {}, "a", Deliver::both, only("member" + std::to_string(i))).value());
  const Attached plain = world.attach().value();
  bool seen = false;
  for (int poll = 0; poll < 20 && !seen; ++poll) {
    const std::size_t before = world.announced.size();
    bool done = false;
    start_poll(world, many(poll), done);
    std::uint64_t head = 0;
    bool ended_early = false;
    world.run_until([&] {
      ended_early = ended_early || (done && world.announced.size() == before);
      return done || (head = world.attach()->head.offset) == static_cast<std::uint64_t>(poll + 1) * 400;
    });
    // Whoever attaches now begins behind these events; so may one who read them in the log and comes back.
    if (!done) {
      seen = true;
      CHECK(world.announced.size() == before);
      CHECK(world.attach({}, to_text({plain.head.epoch, head}))->resumed);
      world.feed.detach(0, plain.channel, filtered[0].form);
      const Attached late = world.attach({}, {}, "b", Deliver::both, only("poll")).value();
      CHECK(late.head.offset == head);
      world.run_until([&] { return done; });
      const Announcement& batch = *world.announced.at(before);
      CHECK(batch.last == head);
      CHECK(batch.find(late.form.filter) == nullptr);  // for them a gap, which they have behind them
      CHECK(batch.find(filtered[1].form.filter)->told == 400);
    }
    CHECK_FALSE(ended_early);
    REQUIRE(world.announced.size() == before + 1);
    CHECK(world.announced.back()->after == static_cast<std::uint64_t>(poll) * 400);
    CHECK(world.announced.back()->frames[plain.form.index()]);
  }
  CHECK(seen);
}

TEST_CASE("Statuses come behind the events of the poll before them, however long those take to encode") {
  World world;
  const Attached plain = world.attach().value();
  const Attached filtered = world.attach({}, {}, "a", Deliver::both, only("member1")).value();
  std::size_t announced_by_then = 0;
  bool done = false;
  world.hub.commit(make_channel_id("news", {}),
                   std::make_shared<const CommitRules>(CommitRules{.diff = {.id_field = "id"}, .complete = true}),
                   R"({"status_code":200,"result":)" + many(1) + "}", {}, [&](const PollOutcome&) {
                     announced_by_then = world.announced.size();
                     world.hub.set_status(make_channel_id("news", {}), {.state = State::failing}, true);
                     done = true;
                   });
  world.run_until([&] { return done; });
  CHECK(announced_by_then == 1);
  CHECK(world.statuses.size() == 1);
}

TEST_CASE("A hub that goes while events are encoded tells nobody of them") {
  bool done = false;
  bool before = false;
  {
    World world;
    for (int i = 0; i < 8; ++i) REQUIRE(world.attach({}, {}, "a", Deliver::both, only("member" + std::to_string(i))));
    start_poll(world, many(1), done);
    world.run_until([&] { return world.attach()->head.offset == 400; });
    before = done;  // most often not yet
  }
  CHECK(done == before);
}
