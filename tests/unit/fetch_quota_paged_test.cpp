// Polls that make several requests, and what an API says in the middle of them; what the disk knows as spent.
#include <catch2/catch.hpp>
#include <memory>

#include "fake_core.hpp"
#include "fetch/quota_book.hpp"

using namespace restream;
using namespace std::chrono_literals;

namespace {

struct Paged {
  explicit Paged(std::optional<QuotaLimit> limit = {}) {
    member->set_terms({.credential = "c", .limit = limit});
    core.run();
  }

  std::shared_ptr<Allowance> ask(const std::string& channel = "one") {
    const auto got = std::make_shared<std::shared_ptr<Allowance>>();
    member->ask(
        channel, 1s, true,
        {.go = [got](std::shared_ptr<Allowance> allowance) { *got = std::move(allowance); }, .wait = [](WallTime) {}});
    core.run();
    return *got;
  }

  // A request that is answered; `left` is what the API says is left for the next hour.
  bool request(Allowance& allowance, std::optional<int> left = {}) {
    if (!allowance.take()) return false;
    allowance.end(1);
    if (left)
      allowance.answered({{"x-ratelimit-remaining", std::to_string(*left)}, {"x-ratelimit-reset", "3600"}},
                         core.clock().wall(), {}, false);
    core.run();
    return true;
  }
  void limited(Allowance& allowance, Millis retry_after) {
    REQUIRE(allowance.take());
    allowance.end(1);
    allowance.answered({}, core.clock().wall(), retry_after, true);
    core.run();
  }
  // Until its polls are expected to make that many.
  void teach(unsigned requests) {
    for (int i = 0; i < 20; ++i) {
      const auto allowance = ask();
      REQUIRE(allowance);
      for (unsigned page = 0; page < requests; ++page) REQUIRE(request(*allowance));
      finish(*allowance);
    }
  }
  void finish(Allowance& allowance) {
    allowance.finish();
    core.run();
  }

  FakeCore core;
  QuotaRecord kept;  // on disk
  QuotaBook book{{.loop = core.loop(),
                  .clock = core.clock(),
                  .write =
                      [this](QuotaRecord record, auto done) {
                        kept = std::move(record);
                        core.loop().post([done] { done(true); });
                      }},
                 {}};
  std::shared_ptr<QuotaMember> member = book.join();
};

}  // namespace

TEST_CASE("a poll that makes fewer requests than were set aside leaves no more than the API has said") {
  Paged world;
  world.teach(10);
  const auto allowance = world.ask();
  REQUIRE(allowance);
  CHECK(world.request(*allowance, 3));
  world.finish(*allowance);
  CHECK(world.member->view().left == 3);
}

TEST_CASE("requests that were set aside before the API said that less is left do not go out") {
  Paged world;
  world.teach(6);
  const auto allowance = world.ask();
  REQUIRE(allowance);
  CHECK(world.request(*allowance, 2));
  CHECK(world.request(*allowance));
  CHECK(world.request(*allowance));
  CHECK_FALSE(world.request(*allowance));
  world.finish(*allowance);
  CHECK(world.member->view().left == 0);
}

TEST_CASE("after too many requests none goes out that was set aside before") {
  Paged world;
  world.teach(6);
  const auto one = world.ask();
  const auto other = world.ask("other");
  world.limited(*one, 1min);
  CHECK_FALSE(world.request(*one));
  CHECK_FALSE(world.request(*other));
  world.finish(*one);
  world.finish(*other);
  world.core.advance(61s);
  CHECK(world.ask());
}

TEST_CASE("what a kill takes for spent does not grow with each answer that says too many requests") {
  Paged world(QuotaLimit{.calls = 1000, .per = 24h});
  for (int i = 0; i < 100; ++i) {
    const auto allowance = world.ask();
    REQUIRE(allowance);
    world.limited(*allowance, 1s);
    world.finish(*allowance);
    world.core.advance(2s);
  }
  CHECK(world.member->view().left == 900);
  CHECK(world.kept.ahead <= 16);
}

TEST_CASE("a poll of many pages is not cut short by what the disk knows in advance") {
  Paged world(QuotaLimit{.calls = 500, .per = 24h});
  const auto allowance = world.ask();
  REQUIRE(allowance);
  for (int page = 0; page < 100; ++page) REQUIRE(world.request(*allowance));
  world.finish(*allowance);
  CHECK(world.member->view().left == 400);
  CHECK(world.kept.ahead <= 16);
}
