// Subscribers with filters, through the hub: whoever follows has what the filter shows of the channel, always.
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "hub_world.hpp"

using namespace restream;
using namespace restream::test;
using nlohmann::json;

namespace {

using Copy = std::map<std::string, json>;

std::shared_ptr<const Filter> make_filter(std::optional<std::vector<std::string>> select,
                                          std::vector<Filter::Condition> where) {
  return std::make_shared<const Filter>(Filter{.select = std::move(select), .where = std::move(where)});
}

std::vector<json> messages(const Frames& frames) {
  std::vector<json> found;
  if (!frames) return found;
  std::string_view rest = *frames;
  while (!rest.empty()) {
    const auto byte = [&rest](std::size_t at) {
      return static_cast<std::size_t>(static_cast<unsigned char>(rest[at]));
    };
    std::size_t size = byte(1);
    std::size_t head = 2;
    if (size == 126) {
      size = byte(2) * 256 + byte(3);
      head = 4;
    }
    REQUIRE(size < 127 + 65536);
    found.push_back(json::parse(rest.substr(head, size)));
    rest.remove_prefix(head + size);
  }
  return found;
}

// A subscriber that keeps a copy, strictly: what comes must make sense of what it has.
struct Follower {
  Form form;
  std::shared_ptr<const Filter> filter;
  Copy copy;
  std::uint64_t cursor = 0;
  std::size_t told = 0;

  void take(const std::vector<json>& events, std::uint64_t last) {
    for (const json& event : events) {
      const std::string id = event["id"];
      const std::uint64_t offset = parse_position(event["position"].get<std::string>())->offset;
      REQUIRE(offset > cursor);
      REQUIRE(offset <= last);
      cursor = offset;
      ++told;
      if (event["type"] == "new_item") {
        REQUIRE_FALSE(copy.contains(id));
        copy[id] = event["item"];
      } else if (event["type"] == "removed_item") {
        REQUIRE(copy.erase(id) == 1);
      } else {
        REQUIRE(copy.contains(id));
        REQUIRE_FALSE(event["patch"].empty());
        const json before = std::exchange(copy[id], copy[id].patch(event["patch"]));
        REQUIRE(copy[id] != before);
        if (form.deliver == Deliver::both) REQUIRE(copy[id] == event["item"]);
      }
    }
    cursor = last;
  }
};

Copy copy_of(const Frames& snapshot) {
  Copy copy;
  const std::vector<json> found = messages(snapshot);
  for (const json& item : found.at(0)["items"]) copy[item["id"]] = item["item"];
  return copy;
}

// What the filter shows of the items, in the judge's words. `select` knows one step here.
Copy seen(const Copy& items, const Filter& filter) {
  Copy copy;
  for (const auto& [id, item] : items) {
    const bool all = std::ranges::all_of(filter.where, [&item](const Filter::Condition& one) {
      const json::json_pointer at(one.pointer);
      return item.contains(at) && item[at] == json::parse(one.value);
    });
    if (!all) continue;
    json shown = filter.select ? json::object() : item;
    if (filter.select)
      for (const std::string& pointer : *filter.select)
        if (item.contains(json::json_pointer(pointer)))
          shown[json::json_pointer(pointer)] = item[json::json_pointer(pointer)];
    copy[id] = shown;
  }
  return copy;
}

}  // namespace

TEST_CASE("Followers with filters have what the filter shows, live, from the log, in pieces, and by snapshot") {
  // Encoded on core, and on the frames thread.
  World world({.encoded_on_core = GENERATE(HubLimits().encoded_on_core, 0ns)});
  std::mt19937 random(11);
  const auto below = [&random](std::uint32_t end) { return random() % end; };
  const std::vector<std::shared_ptr<const Filter>> filters = {
      make_filter(std::vector<std::string>{"/n"}, {}), make_filter({}, {{"/on", "true"}}),
      make_filter(std::vector<std::string>{"/t"}, {{"/on", "true"}, {"/n", "1"}}),
      make_filter(std::vector<std::string>{}, {{"/on", "false"}}), make_filter(std::vector<std::string>{"/none"}, {})};
  std::vector<Follower> live;   // told by announcements alone
  std::vector<Follower> later;  // told by the log, now and then
  for (const auto& filter : filters) {
    for (const Deliver deliver : {Deliver::both, Deliver::patch}) {
      const auto attached = world.attach({}, {}, "a", deliver, filter);
      REQUIRE(attached);
      CHECK(attached->form.filter == static_cast<FilterNumber>(&filter - filters.data()) + 1);
      live.push_back({.form = attached->form, .filter = filter, .copy = {}});
      later.push_back(live.back());
    }
  }
  const ChannelNumber channel = world.attach()->channel;
  Copy items;
  for (int poll = 0; poll < 120; ++poll) {
    for (int i = 0; i < 4; ++i) {
      const std::string id = std::to_string(below(6));
      items[id] = {{"id", id}, {"n", below(2)}, {"t", std::string(1, static_cast<char>('x' + below(2)))}};
      if (below(3) != 0) items[id]["on"] = below(2) == 0;
      if (below(4) == 0) items.erase(std::to_string(below(6)));
    }
    json list = json::array();
    for (const auto& [_, item] : items) list.push_back(item);
    // Twice: an item is removed by the second poll without it.
    for (int i = 0; i < 2; ++i) {
      const std::size_t before = world.announced.size();
      world.poll(list.dump());
      for (std::size_t at = before; at < world.announced.size(); ++at) {
        const Announcement& batch = *world.announced[at];
        REQUIRE(batch.filtered.size() == filters.size());
        for (Follower& one : live) {
          REQUIRE(one.cursor == batch.after);
          const auto* filtered = batch.find(one.form.filter);
          const auto told = messages(filtered->frames[one.form.index()]);
          REQUIRE(told.size() == filtered->told);
          one.take(told, batch.last);
        }
      }
    }
    for (const Follower& one : live) REQUIRE(one.copy == seen(items, *one.filter));
    for (Follower& one : later) {
      if (below(4) != 0) continue;
      while (true) {
        const HistoryChunk chunk = world.events(channel, one.cursor, one.form, 1 + below(400));
        if (chunk.last == one.cursor) break;
        const auto told = messages(chunk.frames);
        REQUIRE(told.size() == chunk.told);
        one.take(told, chunk.last);
      }
      REQUIRE(one.copy == seen(items, *one.filter));
    }
    if (poll % 10 == 0)
      for (const Follower& one : live) REQUIRE(copy_of(world.snapshot(channel, one.form).frames) == one.copy);
  }
  for (const Follower& one : live) CHECK((one.told > 50 || one.filter == filters[4]));
}

TEST_CASE("Those who ask for the same share one encoding, and what nobody uses is not encoded") {
  World world({.encoded_on_core = GENERATE(HubLimits().encoded_on_core, 0ns)});
  const auto one = world.attach({}, {}, "a", Deliver::both, make_filter(std::vector<std::string>{"/a", "/b"}, {}));
  const auto same = world.attach({}, {}, "a", Deliver::both, make_filter(std::vector<std::string>{"/b", "/a"}, {}));
  const auto other = world.attach({}, {}, "a", Deliver::item, make_filter(std::vector<std::string>{"/a"}, {}));
  CHECK(one->form.filter == same->form.filter);
  CHECK(one->form.filter != other->form.filter);
  world.poll(R"([{"id":1,"a":2}])");
  const Announcement& batch = *world.announced.at(0);
  REQUIRE(batch.filtered.size() == 2);
  for (const Frames& frames : batch.frames) CHECK_FALSE(frames);  // nobody without a filter
  const auto& frames = batch.find(other->form.filter)->frames;
  CHECK(frames[other->form.index()]);
  CHECK_FALSE(frames[one->form.index()]);

  world.feed.detach(0, one->channel, one->form);
  world.feed.detach(0, one->channel, same->form);
  world.poll(R"([{"id":1,"a":3}])");
  CHECK(world.announced.at(1)->filtered.size() == 1);
  // The number is not used again: announcements of the one before may still be on their way.
  const auto again = world.attach({}, {}, "a", Deliver::both, make_filter(std::vector<std::string>{"/a", "/b"}, {}));
  CHECK(again->form.filter > other->form.filter);
}

TEST_CASE("A channel has so many different filters, and says so") {
  World world;
  const auto number = [](int n) { return make_filter(std::vector<std::string>{"/" + std::to_string(n)}, {}); };
  std::vector<Attached> attached;
  for (int n = 0; n < 64; ++n)
    attached.push_back(world.attach({}, {}, std::to_string(n / 8), Deliver::both, number(n)).value());
  const auto refused = world.attach({}, {}, "a", Deliver::both, number(64));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == "too_many_subscriptions");
  CHECK(refused.error().message.find("64 different filters") != std::string::npos);
  CHECK(world.attach({}, {}, "a", Deliver::both, number(63)));
  CHECK(world.attach());
  world.feed.detach(0, attached[5].channel, attached[5].form);
  CHECK(world.attach({}, {}, "a", Deliver::both, number(64)));
}

TEST_CASE("One address can't take all filters of a channel, and may use those of others") {
  World world;
  const auto number = [](int n) { return make_filter(std::vector<std::string>{"/" + std::to_string(n)}, {}); };
  std::vector<Attached> attached;
  for (int n = 0; n < 8; ++n) attached.push_back(world.attach({}, {}, "a", Deliver::both, number(n)).value());
  const auto refused = world.attach({}, {}, "a", Deliver::both, number(8));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == "too_many_subscriptions");
  CHECK(refused.error().message.find("your address has brought 8 different filters") != std::string::npos);
  CHECK(world.attach({}, {}, "a", Deliver::item, number(3)));
  CHECK(world.attach({{"x", "1"}}, {}, "a", Deliver::both, number(8)));
  const auto other = world.attach({}, {}, "b", Deliver::both, number(8)).value();
  CHECK(world.attach({}, {}, "a", Deliver::both, number(8)).value().form.filter == other.form.filter);
  CHECK_FALSE(world.attach({}, {}, "a", Deliver::both, number(9)));
  world.feed.detach(0, attached[0].channel, attached[0].form);
  CHECK(world.attach({}, {}, "a", Deliver::both, number(9)));
}

TEST_CASE("With a filter nobody resumes over events of which it is not known what was before") {
  ChannelRecord record{.channel = "news", .head = {.epoch = 7, .offset = 9}, .undoable = 6};
  record.schedule.last_demand = std::chrono::system_clock::now();
  World world({}, {record});
  const auto filter = make_filter({}, {{"/on", "true"}});
  const auto resumed = [&world](std::uint64_t offset, std::shared_ptr<const Filter> with) {
    return world.attach({}, to_text({7, offset}), "a", Deliver::both, std::move(with))->resumed;
  };
  CHECK(resumed(4, nullptr));
  CHECK_FALSE(resumed(4, filter));
  CHECK(resumed(5, filter));
}
