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
