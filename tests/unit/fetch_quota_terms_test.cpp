// Which fetchers share a budget, and whom a "too many requests" stops.
#include <catch2/catch.hpp>
#include <memory>

#include "fake_core.hpp"
#include "fetch/quota_terms.hpp"

using namespace restream;
using namespace std::chrono_literals;

namespace {

using Keys = FetcherKeys;

Metadata with_keys(std::vector<std::string> keys) {
  Metadata metadata;
  metadata.keys = std::move(keys);
  return metadata;
}

QuotaTerms terms(const Metadata& metadata, const Keys& keys, const std::string& origin = "https://a.example",
                 const std::optional<QuotaLimit>& configured = {}) {
  HttpRules rules;
  rules.origins = {origin};
  return quota_terms(metadata, configured, keys, rules, [](const std::string& secret) { return secret; });
}

struct Book {
  FakeCore core;
  QuotaBook book{{.loop = core.loop(), .clock = core.clock(), .write = [](QuotaRecord, auto done) { done(true); }}, {}};

  // The allowance, or null while there is none.
  static std::shared_ptr<Allowance> ask(QuotaMember& member, const std::string& channel) {
    const auto got = std::make_shared<std::shared_ptr<Allowance>>();
    member.ask(
        channel, 1s, false,
        {.go = [got](std::shared_ptr<Allowance> allowance) { *got = std::move(allowance); }, .wait = [](WallTime) {}});
    return *got;
  }

  // One poll: whether a request of it may go out. It is answered with that status.
  bool poll(QuotaMember& member, const std::string& channel, int status = 200) {
    const auto allowance = ask(member, channel);
    if (!allowance) return false;
    const bool taken = allowance->take();
    if (taken) {
      allowance->end(1);
      allowance->answered({}, core.clock().wall(), status == 429 ? std::optional<Millis>(1h) : std::nullopt,
                          status == 429);
    }
    allowance->finish();
    core.run();
    return taken;
  }
};

}  // namespace

TEST_CASE("fetchers whose key has the same value share a budget, whatever they call the key") {
  const auto one = terms(with_keys({"api-key"}), {{"api-key", "a-value"}});
  CHECK(terms(with_keys({"token"}), {{"token", "a-value"}}).credential == one.credential);
  CHECK(terms(with_keys({"api-key"}), {{"api-key", "another"}}).credential != one.credential);
  CHECK(terms(with_keys({"api-key"}), {{"api-key", "a-value"}}, "https://b.example").credential == one.credential);
  CHECK(terms(with_keys({}), {}).credential != one.credential);
  CHECK(terms(with_keys({"a", "b"}), {{"a", "x"}, {"b", "yz"}}).credential !=
        terms(with_keys({"a", "b"}), {{"a", "xy"}, {"b", "z"}}).credential);
}

TEST_CASE("of a fetcher with several keys, quota.shared_key names the one that counts") {
  Metadata metadata = with_keys({"app", "user"});
  metadata.quota = QuotaSpec{.calls = 10, .per = 60s, .shared_key = "app"};
  const auto one = terms(metadata, {{"app", "same"}, {"user", "me"}});
  CHECK(terms(metadata, {{"app", "same"}, {"user", "you"}}).credential == one.credential);
  CHECK(terms(metadata, {{"app", "other"}, {"user", "me"}}).credential != one.credential);
  CHECK(terms(with_keys({"api-key"}), {{"api-key", "same"}}).credential == one.credential);
}

TEST_CASE("fetchers without keys share a budget when they ask the same origin") {
  CHECK(terms(with_keys({}), {}).credential == terms(with_keys({}), {}).credential);
  CHECK(terms(with_keys({}), {}).credential != terms(with_keys({}), {}, "https://b.example").credential);
}

TEST_CASE("without keys and quota, too many requests on one channel stop no other at that origin") {
  Book world;
  const auto first = world.book.join();
  const auto second = world.book.join();
  first->set_terms(terms(with_keys({}), {}));
  second->set_terms(terms(with_keys({}), {}));
  CHECK(world.poll(*first, "one", 429));
  CHECK(world.poll(*first, "two"));
  CHECK(world.poll(*second, "three"));
}

TEST_CASE("with a key, or with a quota, too many requests on one channel stop the whole budget") {
  Book world;
  const auto member = world.book.join();
  SECTION("a key") { member->set_terms(terms(with_keys({"k"}), {{"k", "a-value"}})); }
  SECTION("a quota") {
    member->set_terms(terms(with_keys({}), {}, "https://a.example", QuotaLimit{.calls = 1000, .per = 60s}));
  }
  CHECK(world.poll(*member, "one", 429));
  world.core.advance(59min);
  CHECK_FALSE(world.poll(*member, "two"));
  world.core.advance(2min);
  CHECK(world.poll(*member, "three"));
}

TEST_CASE("the configuration's quota counts instead of the fetcher's own") {
  Metadata metadata = with_keys({"k"});
  metadata.quota = QuotaSpec{.calls = 10, .per = 60s, .shared_key = "k"};
  CHECK(terms(metadata, {{"k", "v"}}).limit == QuotaLimit{.calls = 10, .per = 60s});
  const QuotaLimit configured{.calls = 500, .per = 24h};
  CHECK(terms(metadata, {{"k", "v"}}, "https://a.example", configured).limit == configured);
  CHECK_FALSE(terms(with_keys({"k"}), {{"k", "v"}}).limit);
}

TEST_CASE("fetchers that share a budget and disagree on its size are all held to") {
  Book world;
  const auto minutes = world.book.join();
  auto other = world.book.join();
  const auto with_limit = [](std::uint64_t calls, Millis per) {
    return terms(with_keys({"k"}), {{"k", "v"}}, "https://a.example", QuotaLimit{.calls = calls, .per = per});
  };
  minutes->set_terms(with_limit(10, 60s));
  SECTION("of one window the lower counts") {
    other->set_terms(with_limit(4, 60s));
    CHECK(minutes->view().left == 4);
    other->set_terms(with_limit(40, 60s));
    CHECK(other->view().left == 10);
  }
  SECTION("of different windows all") {
    other->set_terms(with_limit(3, 24h));
    for (int i = 0; i < 3; ++i) {
      CHECK(world.poll(*minutes, "one"));
      world.core.advance(8h + 10min);  // evenly over the day, and a little more
    }
    CHECK(minutes->view().left == 1);
    CHECK(world.poll(*other, "two"));
    world.core.advance(7h);
    CHECK_FALSE(world.poll(*minutes, "one"));
    CHECK(minutes->view().left == 0);
  }
}

TEST_CASE("who waits for calls of one credential goes on with another's when the key changes") {
  Book world;
  const auto member = world.book.join();
  const auto with_key = [](const std::string& value) {
    return terms(with_keys({"k"}), {{"k", SecretText(value)}}, "https://a.example", QuotaLimit{.calls = 1, .per = 24h});
  };
  member->set_terms(with_key("old"));
  CHECK(world.poll(*member, "one"));
  bool gone = false;
  member->ask("one", 1s, false,
              {.go =
                   [&gone](const std::shared_ptr<Allowance>& allowance) {
                     gone = true;
                     allowance->finish();
                   },
               .wait = [](WallTime) {}});
  world.core.advance(1h);
  CHECK_FALSE(gone);
  member->set_terms(with_key("new"));
  CHECK(gone);
}

TEST_CASE("channels keep their part in a budget when the key changes") {
  Book world;
  const auto member = world.book.join();
  const auto with_key = [](const std::string& value) {
    return terms(with_keys({"k"}), {{"k", SecretText(value)}}, "https://a.example",
                 QuotaLimit{.calls = 1000, .per = 24h});
  };
  member->set_terms(with_key("old"));
  for (const std::string channel : {"crowd", "one"}) {
    member->set_subscribers(channel, channel == "crowd" ? 64 : 1);
    world.core.advance(10min);
    CHECK(world.poll(*member, channel));
  }
  member->set_terms(with_key("new"));
  const Millis crowd = member->stretched("crowd", 1s);
  const Millis one = member->stretched("one", 1s);
  CHECK(crowd > 80s);
  CHECK(one > 6 * crowd);
}

TEST_CASE("the mark of a fetcher's keys is that of the values of those that it declares") {
  const auto mark = [](const Metadata& metadata, const Keys& keys) {
    return keys_mark(metadata, keys, [](const std::string& secret) {
      return std::to_string(std::hash<std::string>()(secret) % 1'000'000'007) + "0000000";
    });
  };
  const Metadata metadata = with_keys({"k"});
  CHECK(mark(metadata, {{"k", "one"}}) == mark(metadata, {{"k", "one"}, {"another", "x"}}));
  CHECK(mark(metadata, {{"k", "one"}}) != mark(metadata, {{"k", "two"}}));
  CHECK(mark(metadata, {}) != mark(metadata, {{"k", ""}}));
  CHECK(mark(metadata, {}) != 0);
  CHECK(keys_mark(metadata, {}, [](const std::string&) { return std::string(32, '0'); }) == 1);
  CHECK(keys_mark(metadata, {}, nullptr) == 1);
}
