// A fetcher and its plugin: versions that come, go, are refused, crash or are held.
#include <nlohmann/json.hpp>

#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;
using nlohmann::json;

TEST_CASE("a call that another one's deadline ended is tried again and counts as no failure") {
  World world;
  world.begin();
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
  world.begin();
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
  world.begin();
  world.fetcher.plugin_changed(PluginState::held, "held after 5 crashes");
  CHECK(world.heard == std::vector<std::string>{"news?section=home unavailable held"});
  world.core.advance(24h);
  CHECK(world.calls.size() == 1);
}

TEST_CASE("a file whose metadata bears another name is refused by that name") {
  World world(FetcherSettings{.name = "other", .plugin = "other"});
  world.load();
  REQUIRE_FALSE(world.introduced);
  CHECK(world.introduced.error().reason.find("'news'") != std::string::npos);
  CHECK(world.introduced.error().reason.find("name the file news.so") != std::string::npos);
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
  world.begin();
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
  world.begin();
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
  world.begin();
  world.poll();
  world.load(metadata_with(R"({"section": {"default": "home"}, "lang": {"default": "en"}})"));
  CHECK(world.home().text == "news?section=home");
  CHECK(world.fetcher.resolve({{"lang", "de"}})->text == "news?lang=de&section=home");
  world.core.advance(100s);
  CHECK(json::parse(world.take_call().request.text()).at("params") == json{{"section", "home"}, {"lang", "en"}});
}

TEST_CASE("a version that comes back and crashes at once is told of, and the one that works begins polls again") {
  World world;
  world.begin();
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
