// The states of a channel and their reasons: each is told once when it begins, with a sentence, a time and the next
// poll.
#include <nlohmann/json.hpp>

#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;
using nlohmann::json;

namespace {

constexpr const char* limited_by_403 = R"({"name": "news", "description": "d", "id_field": "id",
  "api_url": "https://api.example.com/{}", "doc_url": "u", "keys": ["api-key"], "poll_interval": 100,
  "params": {"section": {"default": "home"}}, "limited_status": [403, 420]})";

using Verdict = PollVerdict::Kind;

void api_says(World& world, int status) {
  world.answer("{}");
  world.commit({.kind = Verdict::api_error, .status = status, .problem = "its own words"});
}
void http_ends(World& world, HttpProblem problem) {
  PluginReply reply;
  reply.kind = PluginReply::Kind::returned;
  reply.code = RESTREAM_FAILED;
  reply.http_problem = problem;
  reply.http_message = "what the daemon saw";
  world.take_call().done(std::move(reply));
}

struct Row {
  State state;
  Reason reason;
  std::function<void(World&)> poll;  // ends the poll under way so
};

// Every reason that the end of a poll can give.
const std::vector<Row> rows{
    {State::limited, Reason::rate_limited, [](World& world) { api_says(world, 429); }},
    {State::limited, Reason::quota, [](World& world) { http_ends(world, HttpProblem::quota); }},
    {State::failing, Reason::unauthorized, [](World& world) { api_says(world, 401); }},
    {State::failing, Reason::unauthorized, [](World& world) { api_says(world, 403); }},
    {State::failing, Reason::upstream_error, [](World& world) { api_says(world, 404); }},
    {State::failing, Reason::upstream_error, [](World& world) { api_says(world, 500); }},
    {State::failing, Reason::upstream_error, [](World& world) { http_ends(world, HttpProblem::refused); }},
    {State::failing, Reason::unreachable, [](World& world) { http_ends(world, HttpProblem::unreachable); }},
    {State::failing, Reason::timeout, [](World& world) { http_ends(world, HttpProblem::timeout); }},
    {State::failing, Reason::bad_result, [](World& world) { http_ends(world, HttpProblem::too_large); }},
    {State::failing, Reason::bad_result,
     [](World& world) {
       world.answer("not JSON");
       world.commit({.kind = Verdict::bad_result, .problem = "the result is not JSON"});
     }},
    {State::failing, Reason::plugin_timeout, [](World& world) { world.answer_kind(PluginReply::Kind::timed_out); }},
    {State::failing, Reason::plugin_crashed, [](World& world) { world.answer_kind(PluginReply::Kind::crashed); }},
};

std::string line(State state, Reason reason) {
  return "news?section=home " + std::string(text(state)) + " " + std::string(text(reason));
}

// Polls until the channel's next one is due and called.
void next_call(World& world) {
  REQUIRE(world.last.next_poll);
  world.core.advance(std::chrono::ceil<Millis>(*world.last.next_poll - world.core.clock().wall()));
  REQUIRE(world.calls.size() == 1);
}

}  // namespace

TEST_CASE(
    "every reason that a poll can end with is told once when it begins, with a sentence, a time and the next poll") {
  for (const Row& row : rows) {
    INFO(text(row.state) << " " << text(row.reason));
    World world;
    world.begin();
    world.poll();
    CHECK(world.last.state == State::live);
    CHECK(world.last.reason == Reason::none);
    for (int i = 0; i < 3; ++i) {
      next_call(world);
      const WallTime before = world.last.at;
      row.poll(world);
      CHECK(world.last.state == row.state);
      CHECK(world.last.reason == row.reason);
      CHECK(world.last.message.size() > 10);
      CHECK(*world.last.next_poll >= world.core.clock().wall() + 100s);
      // The time is that of the transition, also when polls go on to end so.
      CHECK((world.last.at > before) == (i == 0));
    }
    next_call(world);
    world.poll();
    CHECK(world.heard == std::vector<std::string>{line(State::live, Reason::none), line(row.state, row.reason),
                                                  line(State::live, Reason::none)});
  }
}

TEST_CASE("another reason in the same state is a transition of its own") {
  World world;
  world.begin();
  world.poll();
  std::vector<std::string> expected{line(State::live, Reason::none)};
  for (const Row& row : rows) {
    next_call(world);
    row.poll(world);
    if (expected.back() != line(row.state, row.reason)) expected.push_back(line(row.state, row.reason));
  }
  CHECK(world.heard == expected);
}

TEST_CASE("what is no poll's doing is told too, without a next poll") {
  struct Case {
    std::function<void(World&)> happen;
    State state;
    Reason reason;
  };
  const auto becomes = [](PluginState state) {
    return [state](World& world) { world.fetcher.plugin_changed(state, "a sentence about it"); };
  };
  for (const Case& one : std::vector<Case>{{becomes(PluginState::removed), State::unavailable, Reason::removed},
                                           {becomes(PluginState::refused), State::unavailable, Reason::refused},
                                           {becomes(PluginState::held), State::unavailable, Reason::held},
                                           {[](World& world) {
                                              world.fetcher.set_keys({});
                                              world.core.advance(200s);
                                            },
                                            State::needs_key, Reason::missing_key},
                                           {[](World& world) {
                                              world.fetcher.plugin_changed(PluginState::restarting, "signal 11");
                                              world.core.advance(200s);
                                            },
                                            State::failing, Reason::plugin_crashed}}) {
    INFO(text(one.reason));
    World world;
    world.begin();
    world.poll();
    one.happen(world);
    one.happen(world);
    CHECK(world.heard == std::vector<std::string>{line(State::live, Reason::none), line(one.state, one.reason)});
    CHECK(world.last.message.size() > 10);
    CHECK_FALSE(world.last.next_poll);
    const json health = json::parse(world.fetcher.describe(0, "")).at("health");
    CHECK(health.at("state") == text(one.state));
    CHECK(health.at("reason") == text(one.reason));
  }
}

TEST_CASE("a disabled fetcher says so to people, and refuses its channels") {
  World world(FetcherSettings{.name = "news", .plugin = "news", .enabled = false});
  const json health = json::parse(world.fetcher.describe(0, "")).at("health");
  CHECK(health.at("state") == "unavailable");
  CHECK(health.at("reason") == "disabled");
  const auto refused = world.fetcher.resolve({});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == "unavailable");
}

TEST_CASE("a status that the fetcher declares to mean 429 is limited, by the version that was asked") {
  World world;
  world.begin(limited_by_403);
  REQUIRE(world.calls.size() == 1);
  CHECK(world.calls.front().limited_status == std::vector<int>{403, 420});
  api_says(world, 403);
  CHECK(world.last.state == State::limited);
  CHECK(world.last.reason == Reason::rate_limited);
  next_call(world);
  api_says(world, 401);
  CHECK(world.last.reason == Reason::unauthorized);

  // While its answer is on the way, a version takes over to which 403 means 403.
  next_call(world);
  PluginCall call = world.take_call();
  world.load();
  PluginReply reply;
  reply.kind = PluginReply::Kind::returned;
  call.done(std::move(reply));
  world.commit({.kind = Verdict::api_error, .status = 403, .problem = "slow down"});
  CHECK(world.last.reason == Reason::rate_limited);
  next_call(world);
  api_says(world, 403);
  CHECK(world.last.reason == Reason::unauthorized);
}

TEST_CASE("a channel that waits for a plugin is told when that takes more than five seconds") {
  for (const bool in_flight : {true, false}) {
    World world;
    world.begin();
    world.poll();
    world.heard.clear();
    if (in_flight) world.core.advance(200s);
    world.fetcher.plugin_changed(PluginState::restarting, "killed for another call");
    if (in_flight) world.answer_kind(PluginReply::Kind::retry);
    world.core.advance(4999ms);
    CHECK(world.heard.empty());
    world.fetcher.plugin_changed(PluginState::restarting, "killed for another call");  // again
    world.core.advance(in_flight ? 1ms : 200s);
    CHECK(world.heard == std::vector<std::string>{"news?section=home failing plugin_crashed"});
    world.calls.clear();
    world.fetcher.plugin_changed(PluginState::ready, {});
    REQUIRE(world.calls.size() == 1);
    world.poll();
    CHECK(world.heard.back() == "news?section=home live ");
  }
}

TEST_CASE("a key that an API or a plugin repeats is struck out of the message, wherever the message is cut") {
  const std::string key = "k-123456789-abcdefghijklmnopqrstuvwxyz";
  const auto leaks = [&](const std::string& message) { return message.find(key.substr(0, 5)) != std::string::npos; };
  for (std::size_t before = 250; before < 310; ++before) {
    INFO(before);
    const std::string words = std::string(before, '.') + key + " is not valid";
    World world;
    world.log.set_secrets({key});
    world.begin();
    world.answer("{}");
    world.commit({.kind = Verdict::api_error, .status = 400, .problem = words});
    CHECK_FALSE(leaks(world.last.message));
    next_call(world);
    PluginReply reply;
    reply.kind = PluginReply::Kind::returned;
    reply.code = RESTREAM_FAILED;
    reply.last_line = words;
    world.take_call().done(reply);
    CHECK_FALSE(leaks(world.last.message));
    next_call(world);
    reply.kind = PluginReply::Kind::crashed;
    reply.problem = words;
    world.take_call().done(std::move(reply));
    CHECK_FALSE(leaks(world.last.message));
    for (const auto& [level, logged] : world.lines) CHECK_FALSE(leaks(logged));
  }
}
