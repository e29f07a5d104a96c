// The built-in channel's items and the source that hands them out.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "fake_core.hpp"
#include "fetch/fetcher.hpp"
#include "fetch/status_items.hpp"
#include "fetch/status_source.hpp"

using namespace restream;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

// The built-in fetcher with its source; the items and the commits are the test's.
struct World {
  World() {
    fetcher.adopt(StatusSource::introduction());
    fetcher.plugin_changed(PluginState::ready, {});
    channel = *fetcher.resolve({});
  }

  FetcherHooks hooks() {
    FetcherHooks h;
    h.call = [this](PluginCall call) { source.call(std::move(call)); };
    h.cancel = [this](const std::string&) { return source.cancel(); };
    h.polled = [this](const Polled& polled) {
      results.push_back(json::parse(polled.result).at("result").dump());
      fetcher.finished(polled.channel.text, polled.schedule, {.kind = PollVerdict::Kind::committed});
    };
    h.status = [](const ChannelId&, const Status&, bool) {};
    h.keep = [](const ChannelId&, const Schedule&) {};
    h.idle = [this](const ChannelId&) { ++idle; };
    h.settled = [] {};
    return h;
  }

  FakeCore core;
  std::string items = R"([{"id":"a"}])";
  int looks = 0;
  Millis look_takes{0};
  StatusSource source{core.loop(), core.clock(), [this] {
                        ++looks;
                        if (look_takes > 0ms) core.advance(look_takes);
                        return items;
                      }};
  Fetcher fetcher{{.name = "restream-status", .plugin = "restream-status"},
                  core.clock(),
                  core.loop(),
                  [] { return 0.0; },
                  Log::none(),
                  hooks()};
  ChannelId channel;
  std::vector<std::string> results;
  int idle = 0;
};

QuotaView quota(std::uint64_t left) { return {.limit = QuotaLimit{1000, 24h}, .left = left}; }

}  // namespace

TEST_CASE("the built-in source looks at nothing while nobody follows it") {
  World world;
  world.core.advance(1h);
  CHECK(world.looks == 0);
  CHECK(world.results.empty());
}

TEST_CASE("the built-in source answers at once, once more to be sure, and then only when something has changed") {
  World world;
  world.fetcher.want(world.channel, {});
  world.core.advance(100ms);
  CHECK(world.results.size() == 1);
  world.core.advance(30s);
  CHECK(world.results == std::vector<std::string>(2, world.items));
  world.items = R"([{"id":"a"},{"id":"b"}])";
  world.core.advance(1s);
  REQUIRE(world.results.size() == 3);
  CHECK(world.results.back() == world.items);
  world.core.advance(20s);
  CHECK(world.results.size() == 4);  // an item that had gone would be gone for certain now
}

TEST_CASE("the built-in source answers at most once a second, however much happens") {
  World world;
  world.fetcher.want(world.channel, {});
  world.core.advance(10ms);
  for (int i = 0; i < 1000; ++i) {
    world.items = R"([{"id":"a","n":)" + std::to_string(i) + "}]";
    world.core.advance(10ms);
  }
  CHECK(world.results.size() >= 10);
  CHECK(world.results.size() <= 11);
}

TEST_CASE("looks that take long come less often, so that core has its time for others") {
  World world;
  world.look_takes = 100ms;
  world.fetcher.want(world.channel, {});
  world.core.advance(50s);
  CHECK(world.looks >= 9);
  CHECK(world.looks <= 11);
}

TEST_CASE("the built-in channel ends when nobody follows it any more") {
  World world;
  world.fetcher.want(world.channel, {});
  world.core.advance(10s);
  world.fetcher.unwant(world.channel.text);
  world.core.advance(50s);
  CHECK(world.idle == 0);  // it lingers, as any other
  world.core.advance(12s);
  CHECK(world.idle == 1);
  const int looks = world.looks;
  world.core.advance(1h);
  CHECK(world.looks == looks);
  world.items = "[]";
  world.fetcher.want(world.channel, {});
  world.core.advance(1s);
  CHECK(world.results.back() == "[]");
}

TEST_CASE("what is left of a quota is shown by steps") {
  ShownLeft shown;
  for (std::uint64_t left = 1000; left > 0; --left) {
    const ShownLeft before = shown;
    shown = steadied(shown, quota(left));
    if (before && *shown != *before) CHECK(*before - *shown == 10);
  }
  CHECK(shown == 10U);
  CHECK(steadied(shown, quota(0)) == 0U);
  // One call comes back at a time and goes at once: nothing to tell of.
  for (int i = 0; i < 5; ++i) CHECK(steadied(0U, quota(10)) == 0U);
  CHECK(steadied(0U, quota(100)) == 10U);
  CHECK(steadied(95U, quota(1000)) == 100U);
  CHECK(steadied(95U, quota(990)) == 95U);
}

TEST_CASE("a quota without a known size has no percentage") {
  ShownLeft shown;
  const json item = json::parse(quota_item("news", {.left = 5}, shown));
  CHECK(item == json::parse(R"({"id":"quota/news","kind":"quota","fetcher":"news","calls":null,"per":null,
                                "left_percent":null})"));
  CHECK(json::parse(quota_item("news", quota(500), shown)).at("left_percent") == 50);
}

TEST_CASE("a host's item says what runs, and what is wrong with its file") {
  const json item = json::parse(host_item({.plugin = "news",
                                           .file = "/plugins/news.so",
                                           .state = PluginState::ready,
                                           .refusal = "the file was replaced by one that is refused: no ELF file",
                                           .version = "1.2",
                                           .pid = 42,
                                           .restarts = 3,
                                           .last_error = "signal 11"}));
  CHECK(item.at("id") == "host/news");
  CHECK(item.at("state") == "ready");
  CHECK(item.at("problem").is_null());
  CHECK(item.at("pid") == 42);
  CHECK(item.at("refused_file") == "the file was replaced by one that is refused: no ELF file");
}

TEST_CASE("a fetcher's item does not move with its calls") {
  World world;
  const json item = json::parse(world.fetcher.status_item(0, {}));
  CHECK(item.at("id") == "fetcher/restream-status");
  CHECK(item.at("health").at("state") == "live");
  CHECK_FALSE(item.contains("quota"));
}

TEST_CASE("refused files are named with their reasons, whatever their names are") {
  const json files = json::parse(refused_files_json("/plugins", {{"Bad\xff", "no name"}, {"x", "no ELF file"}}));
  CHECK(files.size() == 2);
  CHECK(files.at(1) == json::parse(R"({"file":"/plugins/x.so","reason":"no ELF file"})"));
}
