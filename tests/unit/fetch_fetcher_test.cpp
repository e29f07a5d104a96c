// A fetcher's polls: when each comes, what is asked, and what people hear of it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;
using nlohmann::json;

TEST_CASE("nobody subscribed: no polls") {
  World world;
  world.load();
  world.core.advance(24h);
  CHECK(world.calls.empty());
}

TEST_CASE("the first subscriber starts polling at once, and the interval runs from the end of each poll") {
  World world;
  world.begin();
  REQUIRE(world.calls.size() == 1);
  world.poll();
  world.core.advance(99s);
  CHECK(world.calls.empty());
  world.core.advance(1s);
  CHECK(world.calls.size() == 1);
}

TEST_CASE("the longest of the interval and what the API asks for is the time to the next poll, and is kept") {
  World world;
  world.begin();
  world.answer(R"({"status_code":200,"result":[]})", RESTREAM_OK,
               {.retry_after = 7s, .fresh_for = 150s, .poll_interval = 200s});
  REQUIRE(world.results.size() == 1);
  const Schedule& kept = world.results.front().schedule;
  CHECK(*kept.not_before - *kept.last_poll == 200s);
  world.commit();
  CHECK(world.last.next_poll == world.core.clock().wall() + 200s);
  world.core.advance(200s - 1ms);
  CHECK(world.calls.empty());
  world.core.advance(1ms);
  REQUIRE(world.calls.size() == 1);
  world.answer(R"({"status_code":200,"result":[]})", RESTREAM_OK, {.poll_interval = 20s});
  world.commit();
  world.core.advance(100s - 1ms);
  CHECK(world.calls.empty());
  world.core.advance(1ms);
  CHECK(world.calls.size() == 1);
}

TEST_CASE("fetch is asked with the channel's params, only the declared keys, and the configuration") {
  World world(FetcherSettings{.name = "news", .plugin = "news", .config = R"({"edition":7})"});
  world.load();
  world.fetcher.set_keys({{"api-key", "k-123456789"}, {"another", "x"}});
  world.fetcher.want(*world.fetcher.resolve({{"section", "a/b"}}), {});
  world.core.advance(0ms);
  CHECK(json::parse(world.take_call().request.text()) == json{{"call", "fetch"},
                                                              {"channel", "news"},
                                                              {"params", {{"section", "a/b"}}},
                                                              {"keys", {{"api-key", "k-123456789"}}},
                                                              {"config", {{"edition", 7}}}});
}

TEST_CASE("polls go on for 60 seconds after the last subscriber left, and the interval is kept across it") {
  World world(FetcherSettings{.name = "news", .plugin = "news", .poll_interval = 25s, .force_interval = true});
  world.begin();
  world.poll();
  world.fetcher.unwant(world.home().text);
  world.core.advance(25s);
  world.poll();
  world.core.advance(25s);
  world.poll();  // at 50 s: still within the linger
  world.core.advance(24h);
  CHECK(world.calls.empty());
  CHECK(world.idle == std::vector<std::string>{"news?section=home"});

  // Somebody comes back within the interval of the last poll: what was kept says when.
  Schedule kept = world.kept;
  REQUIRE(kept.not_before);
  world.core.set_wall_back(Seconds(24h) - 10s);
  world.fetcher.want(world.home(), kept);
  world.core.advance(0ms);
  CHECK(world.calls.empty());
  world.core.advance(25s);
  CHECK(world.calls.size() == 1);
}

TEST_CASE("the wall clock may jump by a day either way: the schedule is unmoved") {
  World world;
  world.begin();
  world.poll();
  world.core.set_wall_forward(24h);
  world.core.advance(50s);
  CHECK(world.calls.empty());
  world.core.set_wall_back(48h);
  world.core.advance(49s);
  CHECK(world.calls.empty());
  world.core.advance(1s);
  CHECK(world.calls.size() == 1);
}

TEST_CASE("a channel is called once at a time, however long the poll takes") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(1h);
  CHECK(world.calls.size() == 1);
}

TEST_CASE("subscribers hear of each transition once") {
  World world;
  world.begin();
  world.poll();
  world.core.advance(100s);
  world.poll();
  for (int i = 0; i < 3; ++i) {
    world.core.advance(30min);
    world.answer("{}");
    world.commit({.kind = PollVerdict::Kind::api_error, .status = 500, .problem = "oops"});
  }
  world.core.advance(30min);
  world.poll();
  CHECK(world.heard == std::vector<std::string>{"news?section=home live ", "news?section=home failing upstream_error",
                                                "news?section=home live "});
}

TEST_CASE("failures back off, and the failed poll's schedule is kept for a restart") {
  World world;
  world.begin();
  for (int failures = 1; failures <= 4; ++failures) {
    world.answer("", RESTREAM_FAILED);
    CHECK(world.kept.failures == static_cast<unsigned>(failures));
    const Millis delay = delay_after_failure(100s, static_cast<unsigned>(failures), {}, 0.0);
    world.core.advance(delay - 1ms);
    CHECK(world.calls.empty());
    world.core.advance(1ms);
    REQUIRE(world.calls.size() == 1);
  }
}

TEST_CASE("a configured interval counts from the fetcher's own upwards, unless it is forced") {
  for (const auto& [forced, expected] : {std::pair(false, Millis(100s)), std::pair(true, Millis(5s))}) {
    World world(FetcherSettings{.name = "news", .plugin = "news", .poll_interval = 5s, .force_interval = forced});
    world.begin();
    world.poll();
    world.core.advance(expected - 1ms);
    CHECK(world.calls.empty());
    world.core.advance(1ms);
    CHECK(world.calls.size() == 1);
  }
}

TEST_CASE("a failed commit drops the poll, is no fault of the API, and polling goes on") {
  World world;
  world.begin();
  world.poll();
  world.core.advance(100s);
  world.answer(R"({"status_code":200,"result":[]})");
  world.commit({.kind = PollVerdict::Kind::store_failed, .problem = "disk full"});
  CHECK(world.heard == std::vector<std::string>{"news?section=home live "});
  world.core.advance(100s);
  CHECK(world.calls.size() == 1);
}

TEST_CASE("what people see of a fetcher holds its health and which keys there are, never a value") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  const std::string text = world.fetcher.describe(3, "signal 11");
  const json entry = json::parse(text);
  CHECK(entry.at("name") == "news");
  CHECK(entry.at("keys") == json{{"api-key", "present"}});
  CHECK(entry.at("health") ==
        json{{"state", "live"}, {"reason", nullptr}, {"restarts", 3}, {"last_error", "signal 11"}});
  CHECK(entry.at("channels") == 1);
  CHECK(text.find("k-123456789") == std::string::npos);
}

TEST_CASE("a call that nobody waits for any more is cancelled, and what comes of it counts for nothing") {
  World world;
  world.begin();
  REQUIRE(world.calls.size() == 1);
  world.fetcher.unwant(world.home().text);
  world.core.advance(59s);
  CHECK(world.cancelled.empty());
  world.core.advance(2s);
  REQUIRE(world.cancelled.size() == 1);
  SECTION("the channel ends with it, without a failure") {
    world.answer(R"({"status_code":500,"result":"cancelled"})");
    CHECK(world.results.empty());
    CHECK(world.idle == std::vector<std::string>{world.home().text});
    CHECK(world.kept.failures == 0);
  }
  SECTION("who comes meanwhile gets a poll of its own") {
    world.fetcher.want(world.home(), {});
    world.answer(R"({"status_code":500,"result":"cancelled"})");
    world.core.advance(10ms);
    CHECK(world.idle.empty());
    CHECK(world.calls.size() == 1);
  }
}

TEST_CASE("a channel that nobody wants ends with its call, however that ends") {
  World world;
  world.begin();
  const std::string home = world.home().text;
  world.cancels = false;
  world.fetcher.unwant(home);
  world.core.advance(61s);
  REQUIRE(world.idle.empty());
  SECTION("it is lost, and the plugin goes on") { world.answer_kind(PluginReply::Kind::retry); }
  SECTION("it is lost, and the plugin is being restarted") {
    world.fetcher.plugin_changed(PluginState::restarting, "signal 11");
    world.answer_kind(PluginReply::Kind::retry);
  }
  SECTION("it is lost, and the plugin is gone") {
    world.fetcher.plugin_changed(PluginState::removed, "news.so was removed");
    world.answer_kind(PluginReply::Kind::retry);
  }
  SECTION("it crashes") { world.answer_kind(PluginReply::Kind::crashed); }
  SECTION("its result is committed") { world.poll(); }
  SECTION("its result cannot be written") {
    world.answer("{}");
    world.commit({.kind = PollVerdict::Kind::store_failed, .problem = "disk full"});
  }
  CHECK(world.idle == std::vector<std::string>{home});
  CHECK(world.fetcher.channels() == 0);
  CHECK(world.calls.empty());
}

TEST_CASE("a channel that nobody wants and whose first poll waits for the quota ends after its linger") {
  World world({.name = "news", .plugin = "news", .quota = QuotaLimit{.calls = 1, .per = 24h}});
  world.begin();
  world.poll();
  const ChannelId other = *world.fetcher.resolve({{"section", "world"}});
  world.fetcher.want(other, {});
  world.core.advance(1s);
  REQUIRE(world.last.reason == Reason::quota);
  world.fetcher.unwant(other.text);
  world.core.advance(60s);
  CHECK(world.idle == std::vector<std::string>{other.text});
  CHECK(world.fetcher.channels() == 1);
}

TEST_CASE("a channel that comes back while it waits for the quota is told so again") {
  World world({.name = "news", .plugin = "news", .quota = QuotaLimit{.calls = 1, .per = 24h}});
  world.begin();
  world.poll();
  const ChannelId other = *world.fetcher.resolve({{"section", "world"}});
  world.fetcher.want(other, {});
  world.core.advance(1s);
  REQUIRE(world.heard.back() == other.text + " limited quota");
  world.fetcher.plugin_changed(PluginState::removed, "news.so was removed");
  REQUIRE(std::ranges::count(world.heard, other.text + " unavailable removed") == 1);
  world.load();
  world.core.advance(1s);
  CHECK(std::ranges::count(world.heard, other.text + " limited quota") == 2);
  CHECK(world.calls.empty());
}

TEST_CASE("a channel whose params the plugin does not take any more hears nothing of its quota") {
  World world({.name = "news",
               .plugin = "news",
               .poll_interval = 5s,
               .force_interval = true,
               .quota = QuotaLimit{.calls = 6, .per = 60s}});
  world.begin();
  world.poll();
  const ChannelId other = *world.fetcher.resolve({{"section", "world"}});
  world.fetcher.want(other, {});
  world.core.advance(0ms);
  world.poll();
  world.core.advance(5s);
  REQUIRE(world.calls.size() == 1);
  world.poll();  // and the other one waits for its turn
  json narrower = json::parse(metadata_text);
  narrower["params"]["section"]["enum"] = {"home"};
  world.load(narrower.dump());
  REQUIRE(world.heard.back() == other.text + " unavailable refused");
  while (world.fetcher.poll_soon(world.home().text)) {
    world.core.advance(0ms);
    world.poll();
  }
  world.core.advance(10s);
  CHECK(world.heard.back() == world.home().text + " limited quota");
  CHECK(std::ranges::count(world.heard, other.text + " limited quota") == 0);
}
