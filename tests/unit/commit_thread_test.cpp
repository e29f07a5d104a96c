// The store thread: order, grouping, and what it does when the store fails.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>

#include "channel/store_thread.hpp"
#include "store/memory_store.hpp"

using namespace restream;  // NOLINT: tests

namespace {

// What the test sees of a store that the thread owns.
struct Seen {
  std::mutex mutex;
  std::vector<std::vector<Write>> commits;
  std::atomic<bool> broken = false;
  std::size_t count() {
    const std::lock_guard lock(mutex);
    return commits.size();
  }
};

class WatchedStore final : public Store {
 public:
  explicit WatchedStore(Seen& seen) : seen_(seen) {}
  std::vector<ChannelRecord> channels() override { return kept_.channels(); }
  std::optional<ChannelRecord> channel(const std::string& channel) override { return kept_.channel(channel); }
  std::vector<ItemState> item_states(const std::string& channel) override { return kept_.item_states(channel); }
  std::vector<std::string> order(const std::string& channel) override { return kept_.order(channel); }
  TextMap<std::string> items(const std::string& channel, std::span<const std::string> ids) override {
    return kept_.items(channel, ids);
  }
  std::optional<Snapshot> snapshot(const std::string& channel) override { return kept_.snapshot(channel); }
  std::expected<std::vector<Event>, HistoryGone> events(const std::string& channel, Position after,
                                                        std::size_t max_bytes) override {
    return kept_.events(channel, after, max_bytes);
  }
  std::vector<QuotaRecord> quotas() override { return kept_.quotas(); }
  void commit(std::span<const Write> writes) override {
    if (seen_.broken) throw StoreError("broken");
    kept_.commit(writes);
    const std::lock_guard lock(seen_.mutex);
    seen_.commits.emplace_back(writes.begin(), writes.end());
  }

 private:
  Seen& seen_;
  MemoryStore kept_;
};

struct Bench {
  Seen seen;
  std::optional<StoreThread> thread;
  std::shared_ptr<const CommitRules> rules = [] {
    auto made = std::make_shared<CommitRules>();
    made->diff.id_field = "id";
    return made;
  }();

  Bench() { thread.emplace(std::make_unique<WatchedStore>(seen)); }

  std::future<PollOutcome> poll(const std::string& channel, const std::string& id, std::uint64_t epoch = 1) {
    auto promise = std::make_shared<std::promise<PollOutcome>>();
    thread->commit(PollInput{.channel = channel,
                             .epoch = epoch,
                             .rules = rules,
                             .result = R"({"status_code":200,"result":[{"id":")" + id + "\"}]}",
                             .now = {},
                             .schedule = {}},
                   [promise](PollOutcome outcome) { promise->set_value(std::move(outcome)); });
    return promise->get_future();
  }
  template <typename Job>
  auto read(Job job) {
    using Result = decltype(job(std::declval<Store&>()));
    std::promise<Result> promise;
    thread->read([&](Store& store) { promise.set_value(job(store)); }, [](const std::string&) {});
    return promise.get_future().get();
  }
  // Holds the thread up for as long as the promise is not kept.
  std::promise<void> hold() {
    std::promise<void> release;
    auto started = std::make_shared<std::promise<void>>();
    thread->read(
        [started, wait = std::make_shared<std::future<void>>(release.get_future())](Store&) {
          started->set_value();
          wait->get();
        },
        [](const std::string&) {});
    started->get_future().get();
    return release;
  }
};

ScheduleWrite schedule(const std::string& channel, std::uint32_t failures, std::uint64_t epoch = 1) {
  ScheduleWrite write{.channel = channel, .epoch = epoch, .schedule = {}};
  write.schedule.failures = failures;
  return write;
}

bool soon(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(Millis(10));
  }
  return false;
}

}  // namespace

TEST_CASE("Polls that wait together are committed together") {
  Bench bench;
  std::promise<void> release = bench.hold();
  std::vector<std::future<PollOutcome>> outcomes;
  for (int i = 0; i < 50; ++i) outcomes.push_back(bench.poll("c" + std::to_string(i), "a"));
  bench.thread->write(schedule("other", 1));
  release.set_value();
  for (auto& outcome : outcomes) CHECK(outcome.get().head.offset == 1);
  CHECK(bench.seen.count() == 1);
  CHECK(bench.seen.commits[0].size() == 51);
}

TEST_CASE("Two polls of one channel are never in one transaction, and stay in order") {
  Bench bench;
  std::promise<void> release = bench.hold();
  auto first = bench.poll("c", "a");
  auto other = bench.poll("d", "a");
  auto second = bench.poll("c", "b");
  release.set_value();
  CHECK(first.get().events->events.at(0).change.id == "a");
  CHECK(second.get().events->after == 1);
  CHECK(other.get().head.offset == 1);
  CHECK(bench.seen.count() == 2);
}

TEST_CASE("A poll that is alone is committed at once") {
  Bench bench;
  // Would it wait for others, it would do so each time; a machine that stands still does so once.
  auto least = Millis::max();
  for (int i = 0; i < 10; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    bench.poll("c", std::to_string(i)).get();
    least = std::min(least, std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - begin));
  }
  CHECK(least < Millis(150));
}

TEST_CASE("Schedules are written within 200 ms, the newest of each channel only") {
  Bench bench;
  std::promise<void> release = bench.hold();
  bench.thread->write(schedule("c", 1));
  bench.thread->write(schedule("c", 2));
  bench.thread->write(schedule("d", 3));
  release.set_value();
  REQUIRE(soon([&] { return bench.seen.count() == 1; }));
  REQUIRE(bench.seen.commits[0].size() == 2);
  CHECK(bench.read([](Store& store) { return store.channel("c")->schedule.failures; }) == 2);
}

TEST_CASE("Schedules that come while others wait are written with them") {
  Bench bench;
  bench.thread->write(schedule("c", 1));
  std::this_thread::sleep_for(Millis(50));
  for (int i = 0; i < 20; ++i) bench.thread->write(schedule("d" + std::to_string(i), 1));
  const auto written = [&] {
    const std::lock_guard lock(bench.seen.mutex);
    std::size_t writes = 0;
    for (const auto& commit : bench.seen.commits) writes += commit.size();
    return writes;
  };
  REQUIRE(soon([&] { return written() == 21; }));
  CHECK(bench.seen.count() <= 2);
}

TEST_CASE("A read sees every poll that was queued before it") {
  Bench bench;
  for (int i = 0; i < 100; ++i) {
    auto outcome = bench.poll("c", std::to_string(i));
    const auto head = bench.read([](Store& store) { return store.channel("c")->head.offset; });
    CHECK(head == static_cast<std::uint64_t>(i) + 1);
  }
}

TEST_CASE("A read sees that a channel was forgotten before it") {
  Bench bench;
  bench.poll("c", "a").get();
  bench.thread->write(ForgetWrite{"c"});
  CHECK_FALSE(bench.read([](Store& store) { return store.channel("c").has_value(); }));
}

TEST_CASE("Forgetting a channel neither overtakes its polls nor is overtaken by them") {
  Bench bench;
  std::promise<void> release = bench.hold();
  auto first = bench.poll("c", "a", 1);
  bench.thread->write(ForgetWrite{"c"});
  bench.thread->write(schedule("c", 5, 2));
  auto second = bench.poll("c", "b", 3);
  release.set_value();
  CHECK(first.get().head == Position{.epoch = 1, .offset = 1});
  CHECK(second.get().head == Position{.epoch = 2, .offset = 1});
  CHECK(bench.read([](Store& store) { return store.snapshot("c")->items.size(); }) == 1);
}

TEST_CASE("When the store fails, polls are told and other writes are kept for later") {
  Bench bench;
  bench.seen.broken = true;
  bench.thread->write(schedule("c", 1));
  CHECK(bench.poll("d", "a").get().kind == PollOutcome::Kind::store_failed);
  bench.thread->write(schedule("c", 2));
  bench.seen.broken = false;
  SECTION("the next poll takes them along") { CHECK(bench.poll("d", "a").get().head.offset == 1); }
  SECTION("they are tried again by themselves") {}
  REQUIRE(soon([&] { return bench.seen.count() >= 1; }));
  CHECK(bench.read([](Store& store) { return store.channel("c")->schedule.failures; }) == 2);
}

TEST_CASE("A read that fails ends in its other function") {
  Bench bench;
  std::promise<std::string> why;
  bench.thread->read([](Store&) { throw StoreError("no such luck"); },
                     [&](std::string message) { why.set_value(std::move(message)); });
  CHECK(why.get_future().get() == "no such luck");
}

TEST_CASE("What is queued is finished before the thread ends") {
  Bench bench;
  std::vector<std::future<PollOutcome>> outcomes;
  for (int i = 0; i < 600; ++i) outcomes.push_back(bench.poll("c" + std::to_string(i), "a"));
  bench.thread->write(schedule("last", 1));
  bench.thread.reset();
  for (auto& outcome : outcomes) CHECK(outcome.get().head.offset == 1);
  bool written = false;
  for (const auto& commit : bench.seen.commits)
    for (const Write& write : commit) written = written || std::holds_alternative<ScheduleWrite>(write);
  CHECK(written);
}

TEST_CASE("In a hurry, polls that wait are dropped and counted, and their schedules are written") {
  Bench bench;
  std::promise<void> release = bench.hold();
  std::vector<std::future<PollOutcome>> outcomes;
  for (int i = 0; i < 600; ++i) outcomes.push_back(bench.poll("c" + std::to_string(i), "a"));
  std::size_t dropped = 0;
  bench.thread->hurry(Millis(0), [&](std::size_t polls) { dropped = polls; });
  release.set_value();
  bench.thread.reset();
  CHECK(dropped == 600);
  std::size_t schedules = 0;
  for (const auto& commit : bench.seen.commits) {
    for (const Write& write : commit) {
      CHECK_FALSE(std::holds_alternative<PollWrite>(write));
      if (std::holds_alternative<ScheduleWrite>(write)) ++schedules;
    }
  }
  CHECK(schedules == 600);
  for (auto& outcome : outcomes) CHECK_THROWS_AS(outcome.get(), std::future_error);
}

TEST_CASE("A hurry that is long enough drops nothing") {
  Bench bench;
  auto outcome = bench.poll("c", "a");
  bool told = false;
  bench.thread->hurry(Seconds(60), [&](std::size_t) { told = true; });
  bench.thread.reset();
  CHECK(outcome.get().head.offset == 1);
  CHECK_FALSE(told);
}

TEST_CASE("Many threads may hand in work at once") {
  Bench bench;
  std::vector<std::thread> threads;
  std::atomic<int> done = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        bench.thread->write(schedule("s" + std::to_string(t), static_cast<std::uint32_t>(i)));
        if (bench.poll("c" + std::to_string(t), std::to_string(i)).get().problem.empty()) ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(done == 800);
  CHECK(bench.read([](Store& store) { return store.channel("c3")->head.offset; }) == 200);
}

TEST_CASE("polls that find nothing new share a transaction, which comes within a moment") {
  Bench bench;
  for (int i = 0; i < 3; ++i) bench.poll("c" + std::to_string(i), "a").get();
  const std::size_t before = bench.seen.count();
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < 5; ++round)
    for (int i = 0; i < 3; ++i) {
      const PollOutcome outcome = bench.poll("c" + std::to_string(i), "a").get();
      CHECK(outcome.kind == PollOutcome::Kind::committed);
      CHECK(outcome.events == nullptr);
      CHECK(outcome.items == 1);
      CHECK(outcome.head.offset == 1);
    }
  // One each 200 ms at most, so several where the machine takes its time.
  const auto moments = static_cast<std::size_t>((std::chrono::steady_clock::now() - begin) / Millis(200));
  CHECK(bench.seen.count() <= before + 1 + moments);
  CHECK(soon([&] { return bench.seen.count() > before; }));
  const std::lock_guard lock(bench.seen.mutex);
  for (const Write& write : bench.seen.commits.back()) CHECK(std::holds_alternative<ScheduleWrite>(write));
}

TEST_CASE("what waits goes along with a poll that found something, and is written when the thread ends") {
  Bench bench;
  const auto schedules_written = [&bench] {
    const std::lock_guard lock(bench.seen.mutex);
    std::ptrdiff_t all = 0;
    for (const auto& writes : bench.seen.commits)
      all += std::ranges::count_if(writes,
                                   [](const Write& write) { return std::holds_alternative<ScheduleWrite>(write); });
    return all;
  };
  bench.poll("quiet", "a").get();
  bench.poll("quiet", "a").get();
  bench.poll("lively", "a").get();
  CHECK(schedules_written() == 1);
  bench.poll("quiet", "a").get();
  bench.thread.reset();
  CHECK(schedules_written() == 2);
}

TEST_CASE("while the store fails, a poll that finds nothing new says so as well, until the store works again") {
  Bench bench;
  bench.poll("c", "a").get();
  bench.seen.broken = true;
  CHECK(bench.poll("c", "b").get().kind == PollOutcome::Kind::store_failed);
  CHECK(bench.poll("c", "a").get().kind == PollOutcome::Kind::store_failed);
  bench.seen.broken = false;
  CHECK(bench.poll("c", "a").get().kind == PollOutcome::Kind::committed);
}

TEST_CASE("polls count as waiting until they are answered or dropped, and each one's diff is timed") {
  Bench bench;
  const StoreThread::Stats& stats = bench.thread->stats();
  std::promise<void> release = bench.hold();
  auto one = bench.poll("one", "a");
  auto two = bench.poll("two", "a");
  bench.thread->write(schedule("three", 1));
  CHECK(stats.waiting.value() == 2);
  release.set_value();
  one.get();
  two.get();
  CHECK(soon([&] { return stats.waiting.value() == 0; }));
  MetricsText text;
  text.family("diff_seconds", MetricsText::Type::histogram, "Of a poll.");
  text.sample(stats.diffs);
  CHECK_THAT(text.take(), Catch::Contains("restream_diff_seconds_count 2\n"));

  release = bench.hold();
  for (int i = 0; i < 5; ++i) bench.poll("c" + std::to_string(i), "a");
  CHECK(stats.waiting.value() == 5);
  bench.thread->hurry(Millis(0), [](std::size_t) {});
  release.set_value();
  CHECK(soon([&] { return stats.waiting.value() == 0; }));
}
