#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "hub_world.hpp"

using namespace restream;
using namespace restream::test;
using nlohmann::json;

TEST_CASE("the first to attach starts the polls, the last to leave stops them") {
  World world;
  const auto first = world.attach();
  const auto second = world.attach();
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  CHECK(first->channel == second->channel);
  CHECK(world.demand == std::vector<std::string>{"want news"});
  world.feed.detach(0, first->channel, Form{});
  world.feed.detach(0, first->channel, Form{});
  world.run_until([&] { return world.demand.size() == 2; });
  CHECK(world.demand.back() == "unwant news");
}

TEST_CASE("a pinned channel is wanted without haste: nobody waits for its first poll") {
  World world;
  world.hub.pin(make_channel_id("news", {}));
  CHECK(world.demand == std::vector<std::string>{"want without haste news"});
}

TEST_CASE("a batch is encoded once for each form in use and announced with the offsets it holds") {
  World world;
  const auto whole = world.attach({}, {}, "a", Deliver::both);
  const auto patch = world.attach({}, {}, "a", Deliver::patch);
  world.poll(R"([{"id":1},{"id":2}])");
  REQUIRE(world.announced.size() == 1);
  const Announcement& batch = *world.announced[0];
  CHECK(batch.channel == whole->channel);
  CHECK(batch.after == 0);
  CHECK(batch.last == 2);
  CHECK(batch.frames[Form{.deliver = Deliver::both}.index()]);
  CHECK(batch.frames[Form{.deliver = Deliver::patch}.index()]);
  CHECK_FALSE(batch.frames[Form{.deliver = Deliver::item}.index()]);
}

TEST_CASE("an unchanged poll announces nothing") {
  World world;
  world.attach();
  world.poll(R"([{"id":1}])");
  world.poll(R"([{"id":1}])");
  CHECK(world.announced.size() == 1);
}

TEST_CASE("a position in the log resumes; one of another epoch, of the future or garbage does not") {
  World world;
  const auto first = world.attach();
  world.poll(R"([{"id":1},{"id":2}])");
  const std::uint64_t epoch = first->head.epoch;
  const auto resumed = [&](const std::string& since) { return world.attach({}, since)->resumed; };
  CHECK(resumed(to_text({epoch, 0})));
  CHECK(resumed(to_text({epoch, 1})));
  CHECK(resumed(to_text({epoch, 2})));
  CHECK_FALSE(resumed(to_text({epoch, 3})));
  CHECK_FALSE(resumed(to_text({epoch + 1, 1})));
  CHECK_FALSE(resumed("garbage"));
  CHECK_FALSE(resumed(""));
  CHECK(world.attach({}, to_text({epoch, 1}))->cursor == 1);
  CHECK(world.attach()->head == Position{epoch, 2});
}

TEST_CASE("a status reaches those attached, and those who come while it is not live") {
  World world;
  const auto first = world.attach();
  CHECK(first->status);  // pending
  const ChannelId id = make_channel_id("news", {});
  world.hub.set_status(id, {State::failing, Reason::timeout, "late", WallTime{}, std::nullopt}, true);
  REQUIRE(world.statuses.size() == 1);
  CHECK(world.statuses[0].frames[0]->find(R"("reason":"timeout")") != std::string::npos);
  CHECK(world.attach()->status->find("timeout") != std::string::npos);
  world.hub.set_status(id, {State::live, Reason::none, "", WallTime{}, std::nullopt}, true);
  CHECK_FALSE(world.attach()->status);
}

TEST_CASE("a subscriber who comes while the plugin is being loaded is answered once it is") {
  World world;
  world.settled = false;
  std::optional<std::expected<Attached, FeedError>> got;
  world.feed.attach({.serve = 0, .fetcher = "news"}, [&](auto reply) { got = std::move(reply); });
  world.io.poll();
  CHECK_FALSE(got.has_value());
  world.settled = true;
  world.hub.fetcher_settled();
  REQUIRE(got.has_value());
  CHECK(got->has_value());
}

TEST_CASE("more channels than the limits allow are refused, the ones that are there go on") {
  World world({.channels = 2, .channels_per_address = 1000});
  CHECK(world.attach({{"a", "1"}}).has_value());
  CHECK(world.attach({{"a", "2"}}).has_value());
  CHECK(world.attach({{"a", "3"}}).error().code == "too_many_channels");
  CHECK(world.attach({{"a", "2"}}).has_value());
}

TEST_CASE("an address may bring so many channels to life and no more, until one of them has gone") {
  World world({.channels = 100, .channels_per_address = 2});
  const auto first = world.attach({{"a", "1"}}, {}, "x");
  REQUIRE(first.has_value());
  // Asking by HTTP is bringing to life, too; and to have left does not help, for the channel is polled on for a while.
  std::optional<Document> got;
  world.feed.get_channel("news", {{"a", "2"}}, {.address = "x", .access = nullptr},
                         world.on_loop([&](const std::shared_ptr<const Document>& reply) { got = *reply; }));
  world.run_until([&] { return world.demand.size() == 2; });
  world.feed.detach(0, first->channel, Form{});
  world.run_until([&] { return world.demand.size() == 3; });
  CHECK(world.attach({{"a", "3"}}, {}, "x").error().code == "too_many_channels");
  world.feed.get_channel("news", {{"a", "3"}}, {.address = "x", .access = nullptr},
                         world.on_loop([&](const std::shared_ptr<const Document>& reply) { got = *reply; }));
  world.run_until([&] { return got.has_value(); });
  CHECK_THAT(got->json, Catch::Contains("too_many_channels"));
  // What others brought to life is there for all.
  CHECK(world.attach({{"a", "3"}}, {}, "y").has_value());
  CHECK(world.attach({{"a", "3"}}, {}, "x").has_value());
  world.hub.idle(make_channel_id("news", {{"a", "1"}}));
  CHECK(world.attach({{"a", "4"}}, {}, "x").has_value());
}

TEST_CASE("GET of a channel is demand, waits for its first poll, and has a tag that follows its content") {
  World world;
  std::optional<Document> got;
  world.feed.get_channel("news", {}, {.address = "a", .access = nullptr},
                         world.on_loop([&](const std::shared_ptr<const Document>& reply) { got = *reply; }));
  world.run_until([&] { return !world.demand.empty(); });
  world.io.run_for(20ms);
  CHECK_FALSE(got.has_value());
  world.poll(R"([{"id":1}])");
  world.run_until([&] { return got.has_value(); });
  CHECK(got->status == 200);
  const json body = json::parse(got->json);
  CHECK(body.at("type") == "snapshot");
  CHECK(body.at("items").size() == 1);
  CHECK(body.contains("state"));
  CHECK(world.document().etag == got->etag);
  world.poll(R"([{"id":1},{"id":2}])");
  CHECK(world.document().etag != got->etag);
  CHECK(world.demand.back() == "unwant news");
}

TEST_CASE("all who GET a channel at a time share its document, until it changes") {
  World world;
  world.attach();
  world.poll(R"([{"id":1}])");
  std::vector<std::shared_ptr<const Document>> got;
  const auto ask = [&](std::size_t times) {
    for (std::size_t i = 0; i < times; ++i)
      world.feed.get_channel("news", {}, {.address = "a", .access = nullptr},
                             world.on_loop([&](const std::shared_ptr<const Document>& one) { got.push_back(one); }));
    world.run_until([&, all = got.size() + times] { return got.size() == all; });
  };
  ask(3);
  ask(1);
  CHECK(std::ranges::count(got, got.front()) == 4);
  world.poll(R"([{"id":1},{"id":2}])");
  ask(2);
  CHECK(got[4] == got[5]);
  CHECK(json::parse(got[4]->json).at("items").size() == 2);
  world.hub.set_status(make_channel_id("news", {}),
                       {State::failing, Reason::unreachable, "x", WallTime{}, std::nullopt}, true);
  ask(1);
  CHECK(json::parse(got.back()->json).at("state") == "failing");
  CHECK(json::parse(got.front()->json).at("items").size() == 1);
  // Nobody has it: nothing is kept.
  const std::weak_ptr<const Document> last = got.back();
  got.clear();
  world.run_until([&] { return last.expired(); });
}

TEST_CASE("GET of a channel that fails answers with what there is and says so") {
  World world;
  std::optional<Document> got;
  world.feed.get_channel("news", {}, {.address = "a", .access = nullptr},
                         world.on_loop([&](const std::shared_ptr<const Document>& reply) { got = *reply; }));
  world.run_until([&] { return !world.demand.empty(); });
  world.hub.set_status(make_channel_id("news", {}),
                       {State::failing, Reason::unreachable, "x", WallTime{}, std::nullopt}, true);
  world.run_until([&] { return got.has_value(); });
  CHECK(json::parse(got->json).at("state") == "failing");
}

TEST_CASE("a channel whose polls have stopped is remembered, so that its log goes on where it was") {
  World world;
  const auto first = world.attach();
  world.poll(R"([{"id":1}])");
  world.feed.detach(0, first->channel, Form{});
  world.run_until([&] { return world.demand.size() == 2; });
  world.hub.idle(make_channel_id("news", {}));
  const auto again = world.attach({}, to_text({first->head.epoch, 1}));
  CHECK(again->channel != first->channel);
  CHECK(again->resumed);
  CHECK(again->head.offset == 1);
}

TEST_CASE("a channel whose last subscriber left during a poll may go the moment that poll ends") {
  World world;
  const auto attached = world.attach();
  world.feed.detach(0, attached->channel, Form{});
  world.run_until([&] { return world.demand.size() == 2; });
  bool done = false;
  const auto rules = std::make_shared<const CommitRules>(CommitRules{.diff = {.id_field = "id"}});
  const ChannelId id = make_channel_id("news", {});
  world.hub.commit(id, rules, R"({"status_code":200,"result":[{"id":1}]})", Schedule{}, [&](const PollOutcome&) {
    world.hub.idle(id);
    done = true;
  });
  world.run_until([&] { return done; });
  CHECK(world.attach()->channel != attached->channel);
}

TEST_CASE("a visitor sees only the channels and fetchers that its globs match") {
  const auto only = [](const std::string& glob) {
    return std::make_shared<const ChannelGlobs>(ChannelGlobs{{"nothing", glob}});
  };
  World world;
  world.attach();
  world.poll(R"([{"id":1}])");
  const auto attach = [&](const Access& access, Params params) {
    std::optional<std::expected<Attached, FeedError>> got;
    world.feed.attach({.fetcher = "news", .params = std::move(params), .visitor = {.address = "a", .access = access}},
                      [&](auto reply) { got = std::move(reply); });
    world.run_until([&] { return got.has_value(); });
    return got->has_value() ? std::string("attached") : got->error().code;
  };
  CHECK(attach(only("news"), {}) == "attached");
  CHECK(attach(only("n*"), {{"a", "1"}}) == "attached");
  CHECK(attach(only("other"), {}) == "unauthorized");
  CHECK(attach(only("news"), {{"a", "1"}}) == "unauthorized");
  CHECK(attach(only("news?a=2*"), {{"a", "1"}}) == "unauthorized");

  const auto get = [&](const auto& ask) {
    std::optional<Document> got;
    ask(world.on_loop([&](Document reply) { got = std::move(reply); }));
    world.run_until([&] { return got.has_value(); });
    return *got;
  };
  const auto channel = [&](const Access& access) {
    return get([&](auto reply) {
             world.feed.get_channel("news", {}, {.address = "a", .access = access},
                                    [reply](const std::shared_ptr<const Document>& one) { reply(*one); });
           })
        .status;
  };
  CHECK(channel(only("news")) == 200);
  CHECK(channel(only("new")) == 403);
  const auto channels = [&](const Access& access) {
    return json::parse(get([&](auto reply) { world.feed.get_channels(access, reply); }).json).at("channels").size();
  };
  CHECK(channels(nullptr) == 2);
  CHECK(channels(only("news")) == 1);
  CHECK(channels(only("*=1")) == 1);
  CHECK(channels(only("x")) == 0);
  const auto fetchers = [&](const std::optional<std::string>& name, const Access& access) {
    return get([&](auto reply) { world.feed.get_fetchers(name, access, reply); });
  };
  CHECK(fetchers(std::nullopt, only("news?a=*")).json == R"({"fetchers":[{"name":"news","quota":{"calls":500}}]})");
  CHECK(fetchers("other", only("news")).status == 403);
  CHECK(fetchers("news", only("news")).status == 200);
}

TEST_CASE("'*' in a glob is any text, and everything else stands for itself") {
  const auto match = [](const char* glob, const char* id) { return ChannelGlobs{{glob}}.match(id); };
  CHECK(match("nyt-top?section=world", "nyt-top?section=world"));
  CHECK(match("*", ""));
  CHECK(match("nyt-*", "nyt-top?section=world&x=1"));
  CHECK(match("*section=*", "nyt-top?section=world"));
  CHECK(match("a*b*c", "a-b-b-c"));
  CHECK_FALSE(match("a*b*c", "a-b-b"));
  CHECK_FALSE(match("nyt-top", "nyt-top?section=world"));
  CHECK_FALSE(match("nyt-top?section=worl?", "nyt-top?section=world"));
  CHECK_FALSE(match("[a-z]", "a"));
  CHECK_FALSE(match("", "a"));
  const auto fetcher = [](const char* glob, const char* name) { return ChannelGlobs{{glob}}.may_match_fetcher(name); };
  CHECK(fetcher("nyt-top?section=world", "nyt-top"));
  CHECK(fetcher("nyt-top", "nyt-top"));
  CHECK(fetcher("nyt-*", "nyt-top"));
  CHECK(fetcher("*=world", "nyt-top"));
  CHECK_FALSE(fetcher("nyt-top2?x=*", "nyt-top"));
  CHECK_FALSE(fetcher("nyt", "nyt-top"));
  CHECK_FALSE(fetcher("nyt-to", "nyt-top"));
}

TEST_CASE("the list of channels says of each where it stands") {
  World world;
  world.attach();
  world.poll(R"([{"id":1}])");
  std::optional<Document> got;
  world.feed.get_channels(nullptr, [&](Document reply) { got = std::move(reply); });
  world.run_until([&] { return got.has_value(); });
  const json entry = json::parse(got->json).at("channels").at(0);
  CHECK(entry.at("id") == "news");
  CHECK(entry.at("subscribers") == 1);
  CHECK(entry.at("items") == 1);
  CHECK(entry.at("position") == "0000000000000007:1");
  CHECK(entry.at("last_poll").is_string());
  for (const char* field : {"channel", "params", "state", "reason", "next_poll"}) CHECK(entry.contains(field));
}

TEST_CASE("A result that is known to change nothing is answered while the store thread is busy, another is not") {
  World world;
  REQUIRE(world.attach());
  const auto rules = std::make_shared<const CommitRules>(CommitRules{.diff = {.id_field = "id"}, .complete = true});
  const auto hand_in = [&world](const std::shared_ptr<const CommitRules>& under, const std::string& items,
                                std::optional<PollOutcome>& got) {
    Schedule schedule;
    schedule.last_poll = std::chrono::system_clock::now();
    world.hub.commit(make_channel_id("news", {}), under, R"({"status_code":200,"result":)" + items + "}", schedule,
                     [&got](const PollOutcome& outcome) { got = outcome; });
  };
  std::optional<PollOutcome> first;
  hand_in(rules, R"([{"id":"a"},{"n":1}])", first);
  world.run_until([&] { return first.has_value(); });
  REQUIRE(first->head.offset == 1);

  std::promise<void> release;
  world.store.read([wait = std::make_shared<std::future<void>>(release.get_future())](Store&) { wait->get(); },
                   [](const std::string&) {});
  std::optional<PollOutcome> same;
  hand_in(rules, R"([{"id":"a"},{"n":1}])", same);
  world.run_until([&] { return same.has_value(); });
  CHECK(same->kind == PollOutcome::Kind::committed);
  CHECK(same->events == nullptr);
  CHECK(same->head == first->head);
  CHECK(same->items == 1);
  CHECK(same->skipped == 1);

  std::optional<PollOutcome> other_result;
  std::optional<PollOutcome> other_rules;
  const auto new_rules = std::make_shared<const CommitRules>(*rules);
  hand_in(new_rules, R"([{"id":"a"},{"n":1}])", other_rules);
  hand_in(rules, R"([{"id":"b"}])", other_result);
  const auto begin = std::chrono::steady_clock::now();
  world.run_until([&] { return std::chrono::steady_clock::now() - begin > 50ms; });
  CHECK_FALSE(other_rules);
  CHECK_FALSE(other_result);
  release.set_value();
  world.run_until([&] { return other_rules && other_result; });
  CHECK(other_result->events != nullptr);

  // `a` is missing now: the next poll decides, even one that says the same.
  std::optional<PollOutcome> deciding;
  hand_in(rules, R"([{"id":"b"}])", deciding);
  world.run_until([&] { return deciding.has_value(); });
  REQUIRE(deciding->events != nullptr);
  CHECK(deciding->events->events.at(0).change.kind == ChangeKind::removed_item);
}

TEST_CASE("a pause before the first poll of a channel is kept over a time when nobody follows it, and on disk") {
  std::atomic<bool> on_disk = false;
  World world;
  const ChannelId id = make_channel_id("news", {});
  const WallTime until(Seconds(4'000'000'000));
  Form form;
  const auto attached = world.attach();
  REQUIRE(attached);
  world.hub.keep(id, {.not_before = until});
  world.feed.detach(0, attached->channel, form);
  world.run_until([&] { return world.demand.back() == "unwant news"; });
  world.hub.idle(id);
  REQUIRE(world.attach());
  CHECK(world.wanted_with.not_before == until);
  CHECK_FALSE(world.wanted_with.last_poll);

  world.run_until([&] {
    world.store.read(
        [&](Store& store) {
          const auto record = store.channel("news");
          if (record && record->schedule.not_before == until) on_disk = true;
        },
        [](const std::string&) {});
    return on_disk.load();
  });
}
