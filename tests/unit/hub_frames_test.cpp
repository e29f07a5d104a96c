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

TEST_CASE("While the events of a poll are encoded core goes on, with the channel as it was before") {
  World world;
  std::vector<Attached> filtered;
  for (int i = 0; i < 8; ++i)
    filtered.push_back(world.attach({}, {}, "a", Deliver::both, only("member" + std::to_string(i))).value());
  const Attached plain = world.attach().value();
  bool seen = false;
  for (int poll = 0; poll < 20 && !seen; ++poll) {
    const std::uint64_t offset = static_cast<std::uint64_t>(poll) * 400;
    bool done = false;
    start_poll(world, many(poll), done);
    // The log has the events before core does, and core before they are published; whoever has them may resume behind.
    const std::string behind = to_text({plain.head.epoch, offset + 400});
    world.run_until([&] { return done || world.attach({}, behind)->resumed; });
    if (!done) {
      seen = true;
      CHECK(world.announced.size() == static_cast<std::size_t>(poll));
      CHECK(world.attach()->head.offset == offset);
      CHECK_FALSE(world.attach({}, to_text({plain.head.epoch, offset + 401}))->resumed);
      world.feed.detach(0, plain.channel, filtered[0].form);
      const Attached late = world.attach({}, {}, "b", Deliver::both, only("poll")).value();
      const Attached other = world.attach({}, {}, "b", Deliver::item).value();
      world.run_until([&] { return done; });
      const Announcement& batch = *world.announced.back();
      CHECK(batch.find(filtered[1].form.filter)->told == 400);
      // Not encoded for: they read the log.
      CHECK(batch.find(late.form.filter) == nullptr);
      CHECK_FALSE(batch.frames[other.form.index()]);
    }
    REQUIRE(world.announced.size() == static_cast<std::size_t>(poll) + 1);
    CHECK(world.announced.back()->after == offset);
    CHECK(world.announced.back()->last == offset + 400);
    CHECK(world.announced.back()->frames[plain.form.index()]);
    CHECK(world.attach()->head.offset == offset + 400);
  }
  CHECK(seen);
}

TEST_CASE("A status that comes of a poll comes behind its events, however long those take to encode") {
  World world({.encoded_on_core = 0ns});
  const Attached plain = world.attach().value();
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
