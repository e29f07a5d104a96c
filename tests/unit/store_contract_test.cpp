// The store contract: one suite, run against every store there is.
#include <algorithm>
#include <limits>

#include "store_support.hpp"

using namespace store_support;  // NOLINT: tests

namespace {

struct Memory {
  MemoryStore kept;
  Store& store() { return kept; }
  void reopen() {}
};

struct Sqlite {
  TemporaryDirectory directory;
  std::unique_ptr<Store> kept = open(directory.path());
  Store& store() { return *kept; }
  void reopen() {
    kept.reset();
    kept = open(directory.path());
  }
};

std::vector<Event> all_events(Store& store, const std::string& channel) {
  const ChannelRecord record = store.channel(channel).value();
  const auto events = store.events(channel, {.epoch = record.head.epoch, .offset = record.first - 1},
                                   std::numeric_limits<std::size_t>::max());
  REQUIRE(events);
  return *events;
}

ItemState state_of(Store& store, const std::string& channel, const std::string& id) {
  const auto states = store.item_states(channel);
  const auto found = std::ranges::find(states, id, &ItemState::id);
  REQUIRE(found != states.end());
  return *found;
}

bool gone(Store& store, const std::string& channel, Position after) { return !store.events(channel, after, 1000); }

}  // namespace

#define STORES Memory, Sqlite

TEMPLATE_TEST_CASE("A store begins empty", "", STORES) {
  TestType under;
  Store& store = under.store();
  CHECK(store.channels().empty());
  CHECK_FALSE(store.channel("a"));
  CHECK_FALSE(store.snapshot("a"));
  CHECK(store.item_states("a").empty());
  CHECK(store.order("a").empty());
  CHECK(store.items("a", std::vector<std::string>{"x"}).empty());
  CHECK(gone(store, "a", {}));
}

TEMPLATE_TEST_CASE("What a poll wrote is there, also after a restart", "", STORES) {
  TestType under;
  PollWrite write = poll("a?x=1", 0, {"two", "one", "three"}, at(5));
  const std::string json = "{\"id\":\"one\",\"n\":1.10,\"s\":\"\\u0000 ü\"}";
  write.items[1].item = json;
  write.items[1].state.left = at(9);
  write.items[1].state.missing = 3;
  write.items[1].state.raw = {.high = ~0ULL, .low = 1ULL << 63U};
  write.epoch = 0xfedcba9876543210;
  write.schedule = {
      .last_poll = at(1), .not_before = at(2), .failures = 4, .refused_keys = 0xfedcba9876543210, .last_demand = at(3)};
  commit(under.store(), write);
  under.reopen();
  Store& store = under.store();

  const ChannelRecord record = store.channel("a?x=1").value();
  CHECK(record.channel == "a?x=1");
  CHECK(record.head == Position{.epoch = 0xfedcba9876543210, .offset = 3});
  CHECK(record.first == 1);
  CHECK(record.items == 3);
  CHECK(record.schedule.last_poll == at(1));
  CHECK(record.schedule.not_before == at(2));
  CHECK(record.schedule.failures == 4);
  CHECK(record.schedule.refused_keys == 0xfedcba9876543210);
  CHECK(record.schedule.last_demand == at(3));
  REQUIRE(store.channels().size() == 1);
  CHECK(store.channels()[0].head == record.head);

  CHECK(store.order("a?x=1") == std::vector<std::string>{"two", "one", "three"});
  const Snapshot snapshot = store.snapshot("a?x=1").value();
  CHECK(snapshot.position == record.head);
  REQUIRE(snapshot.items.size() == 3);
  CHECK(snapshot.items[0].id == "two");
  CHECK(snapshot.items[1].json == json);

  const ItemState state = state_of(store, "a?x=1", "one");
  CHECK(state.raw == Fingerprint{.high = ~0ULL, .low = 1ULL << 63U});
  CHECK(state.content == Fingerprint{.high = 2, .low = 3});
  CHECK(state.missing == 3);
  CHECK(state.left == at(9));
  CHECK_FALSE(state_of(store, "a?x=1", "two").left);

  const auto events = all_events(store, "a?x=1");
  REQUIRE(events.size() == 3);
  CHECK(events[2].offset == 3);
  CHECK(events[2].time == at(5));
  CHECK(events[2].change.kind == ChangeKind::new_item);
  CHECK(events[2].change.id == "three");
  CHECK(events[2].change.item == R"({"id":"three"})");
  CHECK(events[2].change.patch.empty());
}

TEMPLATE_TEST_CASE("Ids may be any bytes, and none is taken for another", "", STORES) {
  TestType under;
  Store& store = under.store();
  const std::vector<std::string> ids = {"a", "A",  "a ",    std::string("a\0b", 3), std::string("a\0c", 3), "ä",
                                        "1", "01", "'; --", std::string(70000, 'x')};
  commit(store, poll("c", 0, ids));
  CHECK(store.order("c") == ids);
  CHECK(store.item_states("c").size() == ids.size());
  CHECK(store.items("c", ids).size() == ids.size());
  CHECK(store.items("c", std::vector<std::string>{"a", "nobody"}).size() == 1);
  CHECK_FALSE(store.channel("C"));
}

TEMPLATE_TEST_CASE("Every kind of event comes back as it went in", "", STORES) {
  TestType under;
  Store& store = under.store();
  commit(store, poll("c", 0, {"a", "b"}));
  PollWrite write = poll("c", 2, {});
  auto events = std::make_shared<EventBatch>();
  events->after = 2;
  events->events = {Event{.offset = 3,
                          .time = at(1) + Millis(7),
                          .change = {ChangeKind::updated_item, "a", R"({"n":2})", R"([{"op":"x"}])"}},
                    Event{.offset = 4, .time = at(1), .change = {ChangeKind::removed_item, "b", "", ""}}};
  write.events = events;
  write.items = {item("a", R"({"n":2})")};
  write.forgotten = {"b"};
  write.order = {{"a"}};
  commit(store, write);
  const auto found = store.events("c", {.epoch = 7, .offset = 2}, 1000);
  REQUIRE(found);
  REQUIRE(found->size() == 2);
  CHECK((*found)[0].change.kind == ChangeKind::updated_item);
  CHECK((*found)[0].time == at(1) + Millis(7));
  CHECK((*found)[0].change.patch == R"([{"op":"x"}])");
  CHECK((*found)[1].change.kind == ChangeKind::removed_item);
  CHECK((*found)[1].change.item.empty());
  CHECK(store.item_states("c").size() == 1);
  CHECK(store.snapshot("c")->items.at(0).json == R"({"n":2})");
}

TEMPLATE_TEST_CASE("A state without bytes leaves the bytes alone", "", STORES) {
  TestType under;
  Store& store = under.store();
  commit(store, poll("c", 0, {"a"}));
  PollWrite write = poll("c", 1, {});
  write.order.reset();
  write.items = {ItemWrite{.state = {.id = "a", .raw = {.high = 8, .low = 9}, .content = {}, .missing = 1, .left = {}},
                           .item = {}}};
  commit(store, write);
  CHECK(store.snapshot("c")->items.at(0).json == R"({"id":"a"})");
  CHECK(state_of(store, "c", "a").raw == Fingerprint{.high = 8, .low = 9});
  CHECK(state_of(store, "c", "a").missing == 1);
  CHECK(store.channel("c")->head.offset == 1);
}

TEMPLATE_TEST_CASE("The epoch is that of the channel's first write", "", STORES) {
  TestType under;
  Store& store = under.store();
  commit(store, ScheduleWrite{.channel = "c",
                              .epoch = 5,
                              .schedule = {.last_poll = {}, .not_before = at(3), .failures = 1, .last_demand = at(2)}});
  CHECK(store.channel("c")->head == Position{.epoch = 5, .offset = 0});
  CHECK(store.channel("c")->first == 1);
  CHECK(store.channel("c")->schedule.not_before == at(3));
  commit(store, poll("c", 0, {"a"}));
  CHECK(store.channel("c")->head == Position{.epoch = 5, .offset = 1});
  CHECK(store.channel("c")->items == 1);
}

TEMPLATE_TEST_CASE("A schedule changes nothing but the schedule", "", STORES) {
  TestType under;
  Store& store = under.store();
  commit(store, poll("c", 0, {"a", "b"}));
  commit(store, ScheduleWrite{.channel = "c",
                              .epoch = 99,
                              .schedule = {.last_poll = at(8), .not_before = {}, .failures = 2, .last_demand = at(1)}});
  CHECK(store.channel("c")->head == Position{.epoch = 7, .offset = 2});
  CHECK(store.channel("c")->items == 2);
  CHECK(store.channel("c")->schedule.failures == 2);
  CHECK_FALSE(store.channel("c")->schedule.not_before);
  CHECK(all_events(store, "c").size() == 2);
}

TEMPLATE_TEST_CASE("A channel that is forgotten leaves nothing, and may begin anew", "", STORES) {
  TestType under;
  commit(under.store(), poll("c", 0, {"a", "b"}));
  commit(under.store(), poll("d", 0, {"a"}));
  commit(under.store(), ForgetWrite{"c"});
  commit(under.store(), ForgetWrite{"never there"});
  under.reopen();
  Store& store = under.store();
  CHECK_FALSE(store.channel("c"));
  CHECK(store.item_states("c").empty());
  CHECK(gone(store, "c", {.epoch = 7, .offset = 0}));
  CHECK(store.snapshot("d")->items.size() == 1);
  PollWrite again = poll("c", 0, {"z"});
  again.epoch = 8;
  commit(store, again);
  CHECK(store.channel("c")->head == Position{.epoch = 8, .offset = 1});
  CHECK(all_events(store, "c").size() == 1);
  CHECK(store.snapshot("c")->items.size() == 1);
}

TEMPLATE_TEST_CASE("What a quota has spent is there after a restart, and goes when there is nothing left of it", "",
                   STORES) {
  TestType under;
  CHECK(under.store().quotas().empty());
  const WallTime time{Millis(1'800'000'000'123)};
  QuotaRecord record{.budget = "ab12",
                     .ahead = 9,
                     .windows = {{.per = Millis(1000), .uses = {{time, 3}}},
                                 {.per = Millis(86'400'000), .uses = {{time - Seconds(5), 1}, {time, 4'000'000'000}}}},
                     .api_left = 0,
                     .api_renews = time + Seconds(60)};
  commit(under.store(), QuotaWrite{record});
  commit(under.store(), QuotaWrite{{.budget = "cd34", .ahead = 1, .windows = {}, .api_left = {}, .api_renews = {}}});
  under.reopen();
  REQUIRE(under.store().quotas().size() == 2);
  CHECK(under.store().quotas()[0] == record);
  record.ahead = 0;
  record.windows.pop_back();
  record.api_left.reset();
  record.api_renews.reset();
  commit(under.store(), QuotaWrite{record});
  commit(under.store(), QuotaWrite{{.budget = "cd34", .ahead = 0, .windows = {}, .api_left = {}, .api_renews = {}}});
  under.reopen();
  REQUIRE(under.store().quotas().size() == 1);
  CHECK(under.store().quotas()[0] == record);
}

TEMPLATE_TEST_CASE("Channels share nothing", "", STORES) {
  TestType under;
  Store& store = under.store();
  store.commit(std::vector<Write>{poll("c", 0, {"a", "b"}), poll("d", 0, {"a"})});
  commit(store, poll("c", 2, {"x"}));
  CHECK(store.channel("d")->head.offset == 1);
  CHECK(all_events(store, "c").size() == 3);
  CHECK(store.order("d") == std::vector<std::string>{"a"});
}

TEMPLATE_TEST_CASE("The events after a position come in pieces that fit, at least one each", "", STORES) {
  TestType under;
  Store& store = under.store();
  commit(store, poll("c", 0, {"a", "b", "c", "d"}));  // 75 bytes each: the id and {"id":"a"}, and 64
  const auto count = [&](std::uint64_t after, std::size_t bytes) {
    return store.events("c", {.epoch = 7, .offset = after}, bytes)->size();
  };
  CHECK(count(0, 0) == 1);
  CHECK(count(0, 149) == 1);
  CHECK(count(0, 150) == 2);
  CHECK(count(0, 1000) == 4);
  CHECK(count(3, 1000) == 1);
  CHECK(count(4, 1000) == 0);
  CHECK(store.events("c", {.epoch = 7, .offset = 2}, 0)->at(0).offset == 3);
}

TEMPLATE_TEST_CASE("Positions of another log, of the future and of the past are gone", "", STORES) {
  TestType under;
  Store& store = under.store();
  commit(store, poll("c", 0, {"a", "b", "c", "d"}));
  CHECK(gone(store, "c", {.epoch = 6, .offset = 1}));
  CHECK(gone(store, "c", {.epoch = 7, .offset = 5}));
  CHECK(gone(store, "c", {.epoch = 7, .offset = ~0ULL}));
  CHECK(gone(store, "d", {.epoch = 7, .offset = 0}));
  Trim trim = keep_all();
  trim.keep = 2;
  commit(store, poll("c", 4, {}, at(0), trim));
  CHECK(store.channel("c")->first == 3);
  CHECK(gone(store, "c", {.epoch = 7, .offset = 1}));
  CHECK_FALSE(gone(store, "c", {.epoch = 7, .offset = 2}));
}

TEMPLATE_TEST_CASE("Events are trimmed by count and by age, and the young ones stay", "", STORES) {
  TestType under;
  Store& store = under.store();
  for (std::uint64_t i = 0; i < 10; ++i) commit(store, poll("c", i, {"a"}, at(static_cast<std::int64_t>(i) * 10)));
  const auto first_after = [&](Trim trim) {
    commit(store, poll("c", 10, {}, at(100), trim));
    return store.channel("c")->first;
  };
  const WallTime now = at(100);
  CHECK(first_after({.keep = 100, .older_than = at(0), .young = now, .now = now}) == 1);
  CHECK(first_after({.keep = 8, .older_than = at(0), .young = now, .now = now}) == 3);
  CHECK(first_after({.keep = 8, .older_than = at(25), .young = now, .now = now}) == 4);
  CHECK(first_after({.keep = 2, .older_than = at(0), .young = at(50), .now = now}) == 6);
  CHECK(all_events(store, "c").size() == 5);
  CHECK(first_after({.keep = 2, .older_than = at(0), .young = at(0), .now = at(70)}) == 6);
  under.reopen();
  CHECK(under.store().channel("c")->first == 6);
  commit(under.store(),
         poll("c", 10, {}, at(100), {.keep = 100, .older_than = at(1000), .young = at(1000), .now = at(1000)}));
  CHECK(under.store().channel("c")->first == 11);
  CHECK(under.store().channel("c")->head.offset == 10);
  CHECK_FALSE(gone(under.store(), "c", {.epoch = 7, .offset = 10}));
  CHECK(gone(under.store(), "c", {.epoch = 7, .offset = 9}));
  commit(under.store(), poll("c", 10, {"a"}, at(200)));
  CHECK(under.store().channel("c")->first == 11);
  CHECK(all_events(under.store(), "c").size() == 1);
}

TEMPLATE_TEST_CASE("Events from a wall clock that ran ahead do not stop the trimming", "", STORES) {
  TestType under;
  Store& store = under.store();
  commit(store, poll("c", 0, {"a", "b", "c"}, at(86400)));
  commit(store, poll("c", 3, {"d", "e"}, at(10), {.keep = 2, .older_than = at(0), .young = at(5), .now = at(10)}));
  CHECK(store.channel("c")->first == 4);
}

TEMPLATE_TEST_CASE("Writes that break a rule are refused with all that came along", "", STORES) {
  TestType under;
  Store& store = under.store();
  commit(store, poll("c", 0, {"a"}));
  PollWrite no_bytes = poll("c", 1, {"b"});
  no_bytes.items[0].item.reset();
  const std::vector<Write> bad = {poll("d", 0, {"x"}), ForgetWrite{"c"}, poll("e", 3, {"y"})};
  CHECK_THROWS_AS(store.commit(bad), StoreError);
  CHECK_THROWS_AS(commit(store, no_bytes), StoreError);
  CHECK_THROWS_AS(commit(store, poll("c", 0, {"b"})), StoreError);
  CHECK_THROWS_AS(commit(store, poll("c", 2, {"b"})), StoreError);
  CHECK(store.channels().size() == 1);
  CHECK(all_events(store, "c").size() == 1);
  CHECK(store.item_states("c").size() == 1);
  commit(store, poll("c", 1, {"b"}));
  CHECK(store.channel("c")->head.offset == 2);
}

TEMPLATE_TEST_CASE("Writes of one commit are done in their order", "", STORES) {
  TestType under;
  Store& store = under.store();
  commit(store, poll("c", 0, {"a", "b"}));
  store.commit(std::vector<Write>{ForgetWrite{"c"}, ScheduleWrite{.channel = "c", .epoch = 11, .schedule = {}},
                                  poll("c", 0, {"x"})});
  CHECK(store.channel("c")->head == Position{.epoch = 11, .offset = 1});
}
