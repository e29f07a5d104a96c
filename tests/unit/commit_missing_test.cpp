// What becomes of items that a poll's result lacks: removed, left, held, forgotten.
#include "commit_support.hpp"

using namespace commit_support;  // NOLINT: tests

TEST_CASE("Complete: an item is removed after two polls without it, and keeps its place until then") {
  Bench bench;
  bench.with = rules(true);
  bench.poll(a + "," + b + "," + c);
  CHECK(bench.tell(c + "," + a) == Told{});
  CHECK(bench.shown() == "cab");
  CHECK(bench.tell(c + "," + a) == Told{"removed b"});
  CHECK(bench.shown() == "ca");
  CHECK(bench.tell(c + "," + a) == Told{});
  CHECK(bench.store.item_states("c").size() == 2);
}

TEST_CASE("Complete: the first item keeps the front while it is missing, and changes come before removals") {
  Bench bench;
  bench.with = rules(true);
  bench.poll(a + "," + b);
  CHECK(bench.tell(b) == Told{});
  CHECK(bench.shown() == "ab");
  CHECK(bench.tell(R"({"id":"b","n":1})" + std::string(",") + c) == Told{"updated b", "new c", "removed a"});
  CHECK(bench.shown() == "bc");
}

TEST_CASE("Complete: an item that was missing once is as if it had never been away") {
  Bench bench;
  bench.with = rules(true);
  bench.poll(a + "," + b);
  CHECK(bench.tell(b) == Told{});
  CHECK(bench.tell(a + "," + b) == Told{});
  CHECK(bench.tell(b) == Told{});
  CHECK(bench.tell(b) == Told{"removed a"});
}

TEST_CASE("Complete: a missing item is counted over a restart") {
  Bench bench;
  bench.with = rules(true);
  bench.poll(a + "," + b);
  bench.poll(b);
  bench.restart();
  CHECK(bench.tell(b) == Told{"removed a"});
}

TEST_CASE("Complete: a removed item that comes back is new") {
  Bench bench;
  bench.with = rules(true);
  bench.poll(a + "," + b);
  bench.poll(b);
  bench.poll(b);
  CHECK(bench.tell(a + "," + b) == Told{"new a"});
}

TEST_CASE("Not complete: an item that is missing leaves at once, without a word") {
  Bench bench;
  bench.poll(a + "," + b);
  CHECK(bench.tell(b) == Told{});
  CHECK(bench.shown() == "b");
  CHECK(bench.store.channel("c")->items == 1);
}

TEST_CASE("Not complete: an item that comes back unchanged is shown again, without a word") {
  Bench bench;
  bench.poll(a + "," + b);
  bench.poll(b);
  SECTION("at once") {}
  SECTION("after a restart") { bench.restart(); }
  SECTION("after six days") { bench.now += std::chrono::hours(6 * 24); }
  CHECK(bench.tell(a + "," + b) == Told{});
  CHECK(bench.shown() == "ab");
  for (const ItemState& state : bench.store.item_states("c")) CHECK_FALSE(state.left);
}

TEST_CASE("Not complete: an item that comes back changed is updated") {
  Bench bench;
  bench.poll(a + "," + b);
  bench.poll(b);
  CHECK(bench.tell(a2 + "," + b) == Told{"updated a"});
  CHECK(bench.shown() == "ab");
}

TEST_CASE("Not complete: an item that left is forgotten after seven days, also when every result is the same") {
  Bench bench;
  bench.poll(a + "," + b);
  bench.poll(b);
  CHECK(bench.store.item_states("c").size() == 2);
  SECTION("in one run") {}
  SECTION("over a restart") { bench.restart(); }
  bench.now += std::chrono::hours(7 * 24) - Seconds(120);
  bench.poll(b);
  CHECK(bench.store.item_states("c").size() == 2);
  bench.poll(b);
  CHECK(bench.store.item_states("c").size() == 1);
  CHECK(bench.tell(a + "," + b) == Told{"new a"});
}

TEST_CASE("Not complete: each item that left is forgotten in its time, also when one that left came back meanwhile") {
  using std::chrono::hours;
  Bench bench;
  const auto start = bench.now;
  const std::string c = R"({"id":"c"})";
  const auto poll_at = [&](hours since, const std::string& items) {
    bench.now = start + since;
    bench.poll(items);
    return bench.store.item_states("c").size();
  };
  const auto day = [](int n) { return hours(24 * n); };
  bench.poll(a + "," + b + "," + c);
  poll_at(day(1), b + "," + c);    // a leaves
  poll_at(day(2), a + "," + c);    // b leaves, a is back
  poll_at(day(3), c);              // a leaves again
  CHECK(poll_at(day(8), c) == 3);  // seven days after it left for the first time
  CHECK(poll_at(day(9) - hours(1), c + "," + R"({"id":"d"})") == 4);
  CHECK(poll_at(day(9) + hours(1), c) == 3);
  CHECK(bench.tell(b + "," + c) == Told{"new b"});
  CHECK(poll_at(day(10) - hours(1), b + "," + c) == 4);
  CHECK(poll_at(day(10) + hours(1), b + "," + c) == 3);
  CHECK(bench.tell(a + "," + c) == Told{"new a"});
}

TEST_CASE("Not complete: items that left one after the other are forgotten together, an hour later at the most") {
  using std::chrono::hours;
  using std::chrono::minutes;
  Bench bench;
  const auto start = bench.now;
  const std::string c = R"({"id":"c"})";
  const auto poll_at = [&](auto since, const std::string& items) {
    bench.now = start + since;
    bench.poll(items);
    return bench.store.item_states("c").size();
  };
  const hours week(7 * 24);
  bench.poll(a + "," + b + "," + c);
  poll_at(hours(1), b + "," + c);
  poll_at(hours(1) + minutes(10), c);
  CHECK(poll_at(week + hours(1), c) == 2);  // a is gone
  CHECK(poll_at(week + hours(1) + minutes(30), c) == 2);
  CHECK(poll_at(week + hours(2) + minutes(1), c) == 1);
}

TEST_CASE("Not complete: of the items that left only so many are remembered, those that left last") {
  Bench bench;
  const auto items = [](int from, int end) {
    std::string out;
    for (int id = from; id < end; ++id) out += (id == from ? "" : ",") + (R"({"id":)" + std::to_string(id)) + "}";
    return out;
  };
  const auto remembered = [&] { return bench.store.item_states("c").size(); };
  std::size_t most = 0;
  for (int poll = 0; poll < 60; ++poll) {  // no id comes twice, as from an API that makes them up
    bench.poll(items(poll * 1000, poll * 1000 + 1000));
    if (poll == 30) bench.restart();
    most = std::max(most, remembered());
  }
  CHECK(most <= 12'000);
  CHECK(remembered() > 9'000);
  CHECK(bench.tell(items(52'000, 53'000)).empty());
  CHECK(bench.tell(items(10'000, 11'000)).size() == 1000);
  bench.now += std::chrono::hours(7 * 24 + 2);
  bench.poll(items(10'000, 11'000));
  CHECK(remembered() == 1000);
}

TEST_CASE("A suddenly empty list changes nothing until a second poll confirms it") {
  Bench bench;
  SECTION("complete") {
    bench.with = rules(true);
    bench.poll(a + "," + b);
    CHECK(bench.tell("") == Told{});
    CHECK(bench.shown() == "ab");
    CHECK(bench.tell("") == Told{"removed a", "removed b"});
    CHECK(bench.shown().empty());
  }
  SECTION("complete, with an item that was missing before") {
    bench.with = rules(true);
    bench.poll(a + "," + b);
    bench.poll(b);
    CHECK(bench.tell("") == Told{});
    CHECK(bench.shown() == "ab");
    CHECK(bench.tell(b) == Told{"removed a"});
  }
  SECTION("complete, over a restart") {
    bench.with = rules(true);
    bench.poll(a);
    bench.poll("");
    bench.restart();
    CHECK(bench.tell("") == Told{});
    CHECK(bench.tell("") == Told{"removed a"});
  }
  SECTION("not complete") {
    bench.poll(a + "," + b);
    CHECK(bench.tell("") == Told{});
    CHECK(bench.shown() == "ab");
    CHECK(bench.tell("") == Told{});
    CHECK(bench.shown().empty());
    CHECK(bench.tell(b + "," + a) == Told{});
    CHECK(bench.shown() == "ba");
  }
  SECTION("two empty lists that are not in a row confirm nothing") {
    bench.poll(a + "," + b);
    bench.poll("");
    bench.poll(a + "," + b);
    bench.poll("");
    CHECK(bench.shown() == "ab");
  }
  SECTION("a refused result in between counts for nothing") {
    bench.poll(a + "," + b);
    bench.poll("");
    bench.poll_text("<html>");
    CHECK(bench.shown() == "ab");
  }
}
