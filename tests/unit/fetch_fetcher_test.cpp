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
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  REQUIRE(world.calls.size() == 1);
  world.poll();
  world.core.advance(99s);
  CHECK(world.calls.empty());
  world.core.advance(1s);
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
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
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
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
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

TEST_CASE("a missing key is told by name, and polling starts by itself once it is there") {
  World world;
  world.load();
  world.fetcher.set_keys({});
  world.fetcher.want(world.home(), {});
  world.core.advance(1h);
  CHECK(world.calls.empty());
  CHECK(world.heard == std::vector<std::string>{"news?section=home needs_key missing_key"});
  CHECK(world.last.message.find("api-key") != std::string::npos);
  world.fetcher.set_keys({{"api-key", "k-123456789"}});
  CHECK(world.calls.size() == 1);
}

namespace {

void refuse_key(World& world) {
  world.answer("{}");
  world.commit({.kind = PollVerdict::Kind::api_error, .status = 401, .problem = "who?"});
}

}  // namespace

TEST_CASE("another key ends the backoff of channels that failed as unauthorized, but not the interval") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  for (int failures = 0; failures < 6; ++failures) {
    refuse_key(world);
    world.core.advance(failures < 5 ? 30min : 60s);
  }
  CHECK(world.last.reason == Reason::unauthorized);
  REQUIRE(world.calls.empty());

  SECTION("the same value changes nothing") {
    world.fetcher.set_keys({{"api-key", "k-123456789"}});
    world.core.advance(10min);
    CHECK(world.calls.empty());
  }
  SECTION("a new value is tried an interval after the last poll") {
    world.fetcher.set_keys({{"api-key", "k-new"}});
    CHECK(world.kept.failures == 1);
    CHECK(world.last.next_poll == world.core.clock().wall() + 40s);
    world.core.advance(40s - 1ms);
    CHECK(world.calls.empty());
    world.core.advance(1ms);
    REQUIRE(world.calls.size() == 1);
    CHECK(world.calls[0].request.text().find("k-new") != std::string::npos);
    world.poll();
    CHECK(world.last.state == State::live);
  }
  SECTION("at once when the interval is over, also with a wall clock that jumped") {
    world.core.set_wall_back(86400s);
    world.core.advance(60s);
    world.fetcher.set_keys({{"api-key", "k-new"}});
    world.core.advance(100s);
    CHECK(world.calls.size() == 1);
  }
}

TEST_CASE("a channel that fails for another reason keeps its backoff when keys change") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  for (int failures = 0; failures < 6; ++failures) {
    world.answer("{}");
    world.commit({.kind = PollVerdict::Kind::api_error, .status = 500, .problem = "oops"});
    world.core.advance(failures < 5 ? 30min : 60s);
  }
  world.fetcher.set_keys({{"api-key", "k-new"}});
  world.core.advance(10min);
  CHECK(world.calls.empty());
}

TEST_CASE("a poll that was asked with the old key and is refused does not hold up the new one") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  for (int failures = 0; failures < 6; ++failures) {
    refuse_key(world);
    world.core.advance(30min);
  }
  REQUIRE(world.calls.size() == 1);
  world.fetcher.set_keys({{"api-key", "k-new"}});
  refuse_key(world);
  world.core.advance(100s - 1ms);
  CHECK(world.calls.empty());
  world.core.advance(1ms);
  REQUIRE(world.calls.size() == 1);
  // The new one's own refusals back off as ever.
  refuse_key(world);
  world.core.advance(100s);
  CHECK(world.kept.failures == 2);
}

TEST_CASE("subscribers hear of each transition once") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
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
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
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

TEST_CASE("a call that another one's deadline ended is tried again and counts as no failure") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  world.fetcher.plugin_changed(PluginState::restarting, "killed for another call");
  world.answer_kind(PluginReply::Kind::retry);
  CHECK(world.calls.empty());
  world.fetcher.plugin_changed(PluginState::loading, {});
  world.fetcher.plugin_changed(PluginState::ready, {});
  REQUIRE(world.calls.size() == 1);
  world.poll();
  CHECK(world.heard == std::vector<std::string>{"news?section=home live "});
}

TEST_CASE("a crash fails its polls, and they are tried again with backoff") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  world.fetcher.plugin_changed(PluginState::restarting, "signal 11");
  world.answer_kind(PluginReply::Kind::crashed);
  CHECK(world.heard == std::vector<std::string>{"news?section=home failing plugin_crashed"});
  world.fetcher.plugin_changed(PluginState::ready, {});
  CHECK(world.calls.empty());
  world.core.advance(100s);
  CHECK(world.calls.size() == 1);
}

TEST_CASE("a held plugin ends its channels, and new subscribers hear why") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  world.fetcher.plugin_changed(PluginState::held, "held after 5 crashes");
  CHECK(world.heard == std::vector<std::string>{"news?section=home unavailable held"});
  world.core.advance(24h);
  CHECK(world.calls.size() == 1);
}

TEST_CASE("a configured interval counts from the fetcher's own upwards, unless it is forced") {
  for (const auto& [forced, expected] : {std::pair(false, Millis(100s)), std::pair(true, Millis(5s))}) {
    World world(FetcherSettings{.name = "news", .plugin = "news", .poll_interval = 5s, .force_interval = forced});
    world.load();
    world.fetcher.want(world.home(), {});
    world.core.advance(0ms);
    world.poll();
    world.core.advance(expected - 1ms);
    CHECK(world.calls.empty());
    world.core.advance(1ms);
    CHECK(world.calls.size() == 1);
  }
}

TEST_CASE("a file whose metadata bears another name is refused by that name") {
  World world(FetcherSettings{.name = "other", .plugin = "other"});
  world.load();
  REQUIRE_FALSE(world.introduced);
  CHECK(world.introduced.error().reason.find("'news'") != std::string::npos);
  CHECK(world.introduced.error().reason.find("name the file news.so") != std::string::npos);
}

TEST_CASE("a failed commit drops the poll, is no fault of the API, and polling goes on") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
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

TEST_CASE("what is no metadata is refused with a reason, and its version as far as it told one") {
  World world;
  world.load(R"({"name": "news", "version": "2.1"})");
  REQUIRE_FALSE(world.introduced);
  CHECK_FALSE(world.introduced.error().lost);
  CHECK(world.introduced.error().version == "2.1");
  CHECK(world.introduced.error().reason.find("description") != std::string::npos);
}

TEST_CASE("a removed plugin ends its channels, and the next version begins them again when they are due") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  world.poll();
  world.core.advance(30s);
  world.fetcher.plugin_changed(PluginState::removed, "news.so was removed");
  world.core.advance(10s);
  CHECK(world.calls.empty());
  world.load();
  world.core.advance(59s);
  CHECK(world.calls.empty());
  world.core.advance(1s);
  CHECK(world.calls.size() == 1);
  CHECK(world.heard == std::vector<std::string>{"news?section=home live ", "news?section=home unavailable removed",
                                                "news?section=home live "});
}

TEST_CASE("a poll under way when the plugin was removed does not make its channel live") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  PluginCall call = world.take_call();
  world.fetcher.plugin_changed(PluginState::removed, "news.so was removed");
  PluginReply reply;
  reply.kind = PluginReply::Kind::returned;
  reply.output = R"({"status_code":200,"result":[]})";
  call.done(std::move(reply));
  world.commit();
  world.core.advance(24h);
  CHECK(world.calls.empty());
  CHECK(world.heard == std::vector<std::string>{"news?section=home unavailable removed"});
}

namespace {

std::string metadata_with(const std::string& params, int interval = 100) {
  return R"({"name": "news", "description": "d", "id_field": "id", "api_url": "https://api.example.com/{}",
    "doc_url": "u", "keys": ["api-key"], "poll_interval": )" +
         std::to_string(interval) + R"(, "params": )" + params + "}";
}

}  // namespace

TEST_CASE("a new version's interval counts from the next poll on, and a poll is committed by its own version's rules") {
  World world;
  world.load();
  const auto first = world.fetcher.metadata();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  PluginCall call = world.take_call();
  world.load(metadata_with(R"({"section": {"default": "home"}})", 10));
  PluginReply reply;
  reply.kind = PluginReply::Kind::returned;
  reply.output = R"({"status_code":200,"result":[]})";
  call.done(std::move(reply));
  REQUIRE(world.results.size() == 1);
  CHECK(world.results[0].metadata == first);
  world.commit();
  world.core.advance(10s);
  world.poll();
  world.core.advance(10s);
  REQUIRE(world.calls.size() == 1);
  CHECK(world.heard == std::vector<std::string>{"news?section=home live "});
}

TEST_CASE("channels whose params a new version does not take are refused, until one takes them again") {
  World world;
  world.load();
  world.fetcher.want(*world.fetcher.resolve({{"section", "world"}}), {});
  world.core.advance(0ms);
  world.poll();
  world.load(metadata_with(R"({"section": {"default": "home", "enum": ["home"]}})"));
  world.core.advance(24h);
  CHECK(world.calls.empty());
  CHECK_FALSE(world.fetcher.resolve({{"section", "world"}}));
  world.load();
  world.core.advance(0ms);
  REQUIRE(world.calls.size() == 1);
  world.poll();
  CHECK(world.heard == std::vector<std::string>{"news?section=world live ", "news?section=world unavailable refused",
                                                "news?section=world live "});
}

TEST_CASE("a param that a new version adds reaches the plugin with its default, and the channel stays the same one") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  world.poll();
  world.load(metadata_with(R"({"section": {"default": "home"}, "lang": {"default": "en"}})"));
  CHECK(world.home().text == "news?section=home");
  CHECK(world.fetcher.resolve({{"lang", "de"}})->text == "news?lang=de&section=home");
  world.core.advance(100s);
  CHECK(json::parse(world.take_call().request.text()).at("params") == json{{"section", "home"}, {"lang", "en"}});
}

TEST_CASE("a version that comes back and crashes at once is told of, and the one that works begins polls again") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  world.poll();
  world.fetcher.plugin_changed(PluginState::removed, "news.so was removed");
  world.fetcher.plugin_changed(PluginState::loading, {});
  world.fetcher.plugin_changed(PluginState::restarting, "signal 11");
  CHECK(json::parse(world.fetcher.describe(1, "")).at("health").at("reason") == "plugin_crashed");
  world.core.advance(1h);
  CHECK(world.calls.empty());
  world.load();
  world.core.advance(0ms);
  CHECK(world.calls.size() == 1);
  CHECK(world.heard == std::vector<std::string>{"news?section=home live ", "news?section=home unavailable removed",
                                                "news?section=home failing plugin_crashed", "news?section=home live "});
}

TEST_CASE("a fetcher whom a version does not suit stays refused over a restart of its host") {
  World world;
  world.load();
  world.fetcher.refuse("its config is no good");
  world.fetcher.plugin_changed(PluginState::ready, {});
  world.fetcher.plugin_changed(PluginState::restarting, "signal 11");
  world.fetcher.plugin_changed(PluginState::ready, {});
  CHECK(json::parse(world.fetcher.describe(1, "")).at("health").at("reason") == "refused");
}

TEST_CASE("a call that nobody waits for any more is cancelled, and what comes of it counts for nothing") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  world.core.run();
  world.core.advance(0ms);
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
