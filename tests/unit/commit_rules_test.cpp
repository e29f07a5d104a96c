// What the committer makes of a channel's polls: new, updated, unchanged, refused.
#include <fstream>
#include <nlohmann/json.hpp>

#include "commit_support.hpp"

using namespace commit_support;  // NOLINT: tests
using nlohmann::json;

TEST_CASE("Polls end as the vectors say") {
  std::ifstream file(std::string(TEST_VECTORS) + "/diff.json");
  REQUIRE(file);
  for (const json& vector : json::parse(file)) {
    INFO(vector.at("name"));
    Bench bench;
    const json given = vector.value("rules", json::object());
    auto made = rules(given.value("complete", false));
    made->diff.id_field = given.value("id_field", "id");
    made->diff.ignore = given.value("ignore", std::vector<std::string>());
    made->diff.unordered = given.value("unordered", std::vector<std::string>());
    bench.with = made;
    const auto poll = [&](const json& items) {
      return bench.poll_text(json{{"status_code", 200}, {"result", items}}.dump());
    };
    if (!vector.at("before").is_null()) REQUIRE(poll(vector.at("before")).problem.empty());
    const PollOutcome outcome = poll(vector.at("after"));
    REQUIRE(outcome.problem.empty());
    json told = json::array();
    if (outcome.events) {
      for (const Event& event : outcome.events->events) {
        json one = {{"type", type_text(event.change.kind)}, {"id", event.change.id}};
        if (!event.change.patch.empty()) one["patch"] = json::parse(event.change.patch);
        told.push_back(one);
      }
    }
    CHECK(told == vector.at("expect"));
  }
}

TEST_CASE("A channel's first poll makes new items, in order, at the poll's time") {
  Bench bench;
  const PollOutcome outcome = bench.poll(b + "," + a);
  REQUIRE(outcome.events);
  CHECK(outcome.kind == PollOutcome::Kind::committed);
  CHECK(outcome.head == Position{.epoch = 7, .offset = 2});
  CHECK(outcome.first == 1);
  CHECK(outcome.items == 2);
  CHECK(outcome.events->after == 0);
  CHECK(outcome.events->events[0].offset == 1);
  CHECK(outcome.events->events[1].offset == 2);
  CHECK(outcome.events->events[1].time == bench.now);
  CHECK(outcome.events->events[1].change.item == a);
  CHECK(bench.shown() == "ba");
}

TEST_CASE("Offsets go on from poll to poll, and over a restart") {
  Bench bench;
  bench.poll(a);
  CHECK(bench.poll(a + "," + b).events->after == 1);
  bench.restart();
  const PollOutcome outcome = bench.poll(a2 + "," + b);
  CHECK(outcome.events->after == 2);
  CHECK(outcome.head.offset == 3);
  CHECK(bench.store.events("c", {.epoch = 7, .offset = 0}, 1000)->size() == 3);
}

TEST_CASE("After a restart nothing is told twice") {
  Bench bench;
  bench.poll(a + "," + b);
  bench.restart();
  CHECK(bench.tell(a + "," + b) == Told{});
  CHECK(bench.store.items_read == 0);
}

TEST_CASE("An equal result is not even taken apart, but its schedule is written") {
  Bench bench;
  bench.poll(a + "," + b);
  const PollOutcome outcome = bench.poll(a + "," + b);
  CHECK_FALSE(outcome.events);
  CHECK(outcome.head.offset == 2);
  CHECK(outcome.items == 2);
  REQUIRE(bench.store.polls.size() == 2);
  CHECK(bench.store.polls[1].items.empty());
  CHECK_FALSE(bench.store.polls[1].order);
  CHECK(bench.store.channel("c")->schedule.last_poll == bench.now);
}

TEST_CASE("An equal result keeps its counts") {
  Bench bench;
  const std::string result = a + "," + a + ",{}," + b + "," + c;
  bench.poll(result);
  const PollOutcome outcome = bench.poll(result);
  CHECK(outcome.skipped == 1);
  CHECK(outcome.repeated == 1);
}

TEST_CASE("Before-states are read only for items that changed") {
  Bench bench;
  bench.poll(a + "," + b + "," + c);
  bench.poll(R"({ "id":"a"})" + std::string(",") + b + "," + c);
  CHECK(bench.store.items_read == 0);
  bench.poll(a2 + "," + b + "," + c);
  CHECK(bench.store.items_read == 1);
}

TEST_CASE("Of large items that changed only a few are in memory at once") {
  Bench bench;
  const auto large = [](const std::string& id, char content) {
    return R"({"id":")" + id + R"(","t":")" + std::string(3'000'000, content) + R"("})";
  };
  bench.poll(large("a", 'x') + "," + large("b", 'x') + "," + large("c", 'x') + "," + large("d", 'x'));
  CHECK(bench.tell(large("a", 'y') + "," + large("b", 'y') + "," + large("c", 'y') + "," + large("d", 'y')) ==
        Told{"updated a", "updated b", "updated c", "updated d"});
  CHECK(bench.store.item_reads == 2);
  CHECK(bench.store.items_read == 4);
}

TEST_CASE("A patch applies to the item that was told last") {
  Bench bench;
  auto ignoring = rules(false);
  ignoring->diff.ignore = {"/views"};
  bench.with = ignoring;
  bench.poll(R"({"id":"a","n":1,"views":1})");
  CHECK(bench.tell(R"({"id":"a","n":1,"views":5})") == Told{});
  CHECK(bench.store.snapshot("c")->items.at(0).json == R"({"id":"a","n":1,"views":1})");
  const PollOutcome outcome = bench.poll(R"({"id":"a","n":2,"views":6})");
  const json told = json::parse(R"({"id":"a","n":1,"views":1})");
  CHECK(told.patch(json::parse(outcome.events->events.at(0).change.patch)) ==
        json::parse(R"({"id":"a","n":2,"views":6})"));
  CHECK(bench.tell(R"({"id":"a","n":2,"views":6})") == Told{});
}

TEST_CASE("Each event says what was before it, so that it can be undone") {
  Bench bench;
  bench.with = rules(true);
  bench.tell(R"({"id":"a","n":1.50,"t":"x"},{"id":"b"})");
  bench.tell(R"({"id":"a","n":2,"t":"x"},{"id":"b"})");
  const int reads = bench.store.item_reads;
  bench.tell(R"({"id":"b"})");
  CHECK(bench.store.item_reads == reads);
  bench.tell(R"({"id":"b"})");
  CHECK(bench.store.item_reads == reads + 1);  // only what is removed
  const auto events = bench.store.events("c", {.epoch = 7, .offset = 0}, 10000).value();
  REQUIRE(events.size() == 4);
  CHECK(events[0].change.undo.empty());
  CHECK(events[2].change.kind == ChangeKind::updated_item);
  CHECK(events[2].change.undo == R"([{"op":"replace","path":"/n","value":1.50}])");
  CHECK(events[3].change.kind == ChangeKind::removed_item);
  CHECK(events[3].change.undo == R"({"id":"a","n":2,"t":"x"})");
}

TEST_CASE("Rules that change do not make items look changed") {
  Bench bench;
  bench.poll(R"({"id":"a","n":1,"views":1})");
  auto ignoring = rules(false);
  ignoring->diff.ignore = {"/views"};
  bench.with = ignoring;
  CHECK(bench.tell(R"({"id":"a","n":1,"views":2})") == Told{});
  bench.restart();
  CHECK(bench.tell(R"({"id":"a","n":1,"views":3})") == Told{});
  CHECK(bench.tell(R"({"id":"a","n":2,"views":4})") == Told{"updated a"});
}

TEST_CASE("Rules that changed polls ago do not make items look changed either") {
  Bench bench;
  bench.poll(R"({"id":"a","n":1,"views":1},{"id":"b","n":1,"views":1})");
  if (GENERATE(false, true)) bench.restart();
  auto ignoring = rules(false);
  ignoring->diff.ignore = {"/views"};
  bench.with = ignoring;
  CHECK(bench.tell(R"({"id":"a","n":1,"views":1},{"id":"b","n":1,"views":1})") == Told{});
  CHECK(bench.tell(R"({"id":"a","n":1,"views":2},{"id":"b","n":1,"views":1})") == Told{});
  CHECK(bench.tell(R"({"id":"a","n":1,"views":3},{"id":"b","n":2,"views":2})") == Told{"updated b"});
  bench.store.item_reads = 0;
  CHECK(bench.tell(R"({"id":"a","n":1,"views":4},{"id":"b","n":2,"views":3})") == Told{});
  CHECK(bench.store.item_reads == 0);
}

TEST_CASE("A field that is ignored no more is told when it goes") {
  Bench bench;
  auto ignoring = rules(false);
  ignoring->diff.ignore = {"/views"};
  bench.with = ignoring;
  bench.poll(R"({"id":"a","views":1})");
  bench.with = rules(false);
  CHECK(bench.tell(R"({"id":"a"})") == Told{"updated a"});
}

TEST_CASE("A list that is empty from the start is a good poll") {
  Bench bench;
  const PollOutcome outcome = bench.poll("");
  CHECK(outcome.kind == PollOutcome::Kind::committed);
  CHECK(outcome.head == Position{.epoch = 7, .offset = 0});
  CHECK(bench.store.snapshot("c")->items.empty());
}

TEST_CASE("A refused result keeps everything as it is") {
  Bench bench;
  bench.with = rules(true);
  bench.poll(a + "," + b);
  for (const char* bad : {"", "<html>", R"({"status_code":200,"result":[{"id":"a"})",
                          R"({"status_code":200,"result":[{},{},{"id":"z"}]})"}) {
    const PollOutcome outcome = bench.poll_text(bad);
    CHECK(outcome.kind == PollOutcome::Kind::bad_result);
    CHECK_FALSE(outcome.problem.empty());
    CHECK_FALSE(outcome.events);
    CHECK(outcome.head.offset == 2);
  }
  CHECK(bench.shown() == "ab");
  CHECK(bench.tell(a + "," + b) == Told{});
  CHECK(bench.poll_text("<html>", "another").kind == PollOutcome::Kind::bad_result);
  CHECK_FALSE(bench.store.channel("another"));
}

TEST_CASE("A failed call of the API keeps everything as it is, and its status and text are told") {
  Bench bench;
  bench.poll(a + "," + b);
  for (int restarts = 0; restarts < 2; ++restarts) {
    const PollOutcome outcome = bench.poll_text(R"({"status_code":503,"result":"come back later"})");
    CHECK(outcome.kind == PollOutcome::Kind::api_error);
    CHECK(outcome.status == 503);
    CHECK(outcome.problem == "come back later");
    CHECK(outcome.head.offset == 2);
    bench.restart();
  }
  CHECK(bench.store.polls.size() == 1);
  CHECK(bench.shown() == "ab");
}

TEST_CASE("A failed commit leaves everything as it was") {
  Bench bench;
  bench.with = rules(true);
  bench.poll(a + "," + b);
  bench.poll(b);
  bench.store.kept.broken = "the disk is full";
  for (int i = 0; i < 3; ++i) {
    const PollOutcome outcome = bench.poll(b + "," + c);
    CHECK(outcome.kind == PollOutcome::Kind::store_failed);
    CHECK(outcome.problem == "the disk is full");
    CHECK_FALSE(outcome.events);
    CHECK(outcome.head.offset == 2);
  }
  bench.store.kept.broken.clear();
  CHECK(bench.tell(b + "," + c) == Told{"new c", "removed a"});
  CHECK(bench.store.channel("c")->head.offset == 4);
}

TEST_CASE("A failed first commit leaves the channel unknown") {
  Bench bench;
  bench.store.kept.broken = "no";
  bench.poll(a);
  bench.store.kept.broken.clear();
  CHECK(bench.tell(a) == Told{"new a"});
}

TEST_CASE("Several polls are one transaction, and one refused result does not spoil it") {
  Bench bench;
  std::vector<PollInput> inputs;
  for (const char* channel : {"x", "y", "z"})
    inputs.push_back(PollInput{.channel = channel,
                               .epoch = 1,
                               .rules = bench.with,
                               .result = R"({"status_code":200,"result":[{"id":"a"}]})",
                               .now = at(0),
                               .schedule = {}});
  inputs[1].result = "<html>";
  const std::vector<Write> others = {ScheduleWrite{.channel = "w", .epoch = 9, .schedule = {}}};
  bench.store.kept.broken = "no";
  auto group = bench.committer->commit(inputs, others);
  CHECK(group.problem == "no");
  CHECK(group.polls[0].kind == PollOutcome::Kind::store_failed);
  CHECK(group.polls[1].kind == PollOutcome::Kind::bad_result);
  CHECK(bench.store.channels().empty());
  bench.store.kept.broken.clear();
  group = bench.committer->commit(inputs, others);
  CHECK(group.problem.empty());
  CHECK(group.polls[0].events);
  CHECK(group.polls[1].kind == PollOutcome::Kind::bad_result);
  CHECK(group.polls[2].events);
  CHECK(bench.store.channels().size() == 3);
}

TEST_CASE("A channel that is forgotten begins anew, in the same transaction too") {
  Bench bench;
  bench.poll(a + "," + b);
  const std::vector<Write> forget = {ForgetWrite{"c"}};
  SECTION("before the poll") {
    bench.committer->commit({}, forget);
    CHECK(bench.poll(a).head == Position{.epoch = 7, .offset = 1});
  }
  SECTION("with the poll") {
    PollInput input{.channel = "c",
                    .epoch = 8,
                    .rules = bench.with,
                    .result = R"({"status_code":200,"result":[{"id":"a"}]})",
                    .now = at(0),
                    .schedule = {}};
    bench.store.kept.broken = "no";
    CHECK(bench.committer->commit(std::span(&input, 1), forget).polls[0].kind == PollOutcome::Kind::store_failed);
    bench.store.kept.broken.clear();
    CHECK(bench.tell(a + "," + b) == Told{});
    const auto group = bench.committer->commit(std::span(&input, 1), forget);
    CHECK(group.polls[0].head == Position{.epoch = 8, .offset = 1});
    CHECK(group.polls[0].items == 1);
    CHECK(bench.tell(a) == Told{});
  }
}

TEST_CASE("The outcome says what was trimmed") {
  Bench bench;
  auto short_log = rules(false);
  short_log->keep_events = 2;
  bench.with = short_log;
  bench.poll(a + "," + b + "," + c);
  CHECK(bench.store.channel("c")->first == 1);  // young
  const PollOutcome outcome = bench.poll(a2 + "," + b + "," + c);
  CHECK(outcome.head.offset == 4);
  CHECK(outcome.first == 3);
}
