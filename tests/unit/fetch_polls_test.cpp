// What polls leave behind besides items: counts, and lines in the log.
#include <algorithm>
#include <array>

#include "fetch/call_places.hpp"
#include "fetch/call_queue.hpp"
#include "fetch/plugin_http.hpp"
#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;

TEST_CASE("items without an id or with one twice are told of when their number changes, and counted each time") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  const auto warned = [&world] {
    return std::ranges::count_if(world.lines, [](const auto& line) {
      return line.first == LogLevel::warning && line.second.find("items without an id") != std::string::npos;
    });
  };
  const auto poll = [&world](std::size_t skipped, std::size_t repeated) {
    world.core.advance(100s);
    world.answer(R"({"status_code":200,"result":[]})");
    world.commit({.skipped = skipped, .repeated = repeated});
  };
  for (int i = 0; i < 5; ++i) poll(2, 1);
  CHECK(warned() == 1);
  poll(2, 3);
  CHECK(warned() == 2);
  poll(0, 0);
  CHECK(warned() == 2);
  poll(2, 3);
  CHECK(warned() == 3);
  CHECK(world.fetcher.counts().skipped == 14);
  CHECK(world.fetcher.counts().repeated == 11);
}

TEST_CASE("of a poll's several answers each wish counts as the longest of them, and the status of the last one") {
  const WallTime now{Seconds(1'800'000'000)};
  const auto answer = [](int status, HttpHeaders headers) {
    HttpResponse response;
    response.status = status;
    response.headers = std::move(headers);
    return HttpResult(std::move(response));
  };
  PluginReply reply;
  note_answer(reply, answer(200, {{"cache-control", "max-age=300"}, {"x-poll-interval", "60"}, {"retry-after", "7"}}),
              now);
  const Hints last = note_answer(reply, answer(429, {{"x-poll-interval", "90"}, {"retry-after", "5"}}), now);
  CHECK(reply.http_status == 429);
  CHECK(reply.hints.fresh_for == 300s);
  CHECK(reply.hints.poll_interval == 90s);
  CHECK(reply.hints.retry_after == 7s);
  CHECK(last.retry_after == 5s);
  CHECK_FALSE(last.fresh_for);
  note_answer(reply, std::unexpected(HttpError{.problem = HttpProblem::timeout, .message = "too slow"}), now);
  CHECK(reply.http_problem == HttpProblem::timeout);
  CHECK(reply.hints.fresh_for == 300s);
}

namespace {

// As many as there is room for.
std::size_t fill(CallPlaces& places, CallPlaces::Owner owner, CallTrust trust) {
  std::size_t taken = 0;
  for (; places.has(owner, trust); ++taken) places.take(owner, trust);
  return taken;
}

}  // namespace

TEST_CASE("a fetcher all of whose channels begin to hang leaves places to the plugin's other fetchers") {
  CallPlaces places;
  const int hanging = 0;
  const int healthy = 0;
  CHECK(fill(places, &hanging, CallTrust::proven) == 80);
  CHECK(places.has(&healthy, CallTrust::proven));
  CHECK(places.has(nullptr, CallTrust::proven));
  CHECK(fill(places, &healthy, CallTrust::proven) == 40);
  CHECK_FALSE(places.has(nullptr, CallTrust::proven));
  places.give_back(&hanging, CallTrust::proven);
  CHECK(places.has(&hanging, CallTrust::proven));
  CHECK(places.has(&healthy, CallTrust::proven));
  for (int i = 0; i < 79; ++i) places.give_back(&hanging, CallTrust::proven);
  CHECK(fill(places, &hanging, CallTrust::proven) == 80);
}

TEST_CASE("calls that are not trusted leave places to those that are") {
  CallPlaces places;
  const std::array<int, 3> fetchers{};
  CHECK(fill(places, &fetchers[0], CallTrust::failed) == 40);
  CHECK(fill(places, &fetchers[1], CallTrust::fresh) == 40);
  CHECK(fill(places, &fetchers[2], CallTrust::proven) == 40);
  places.give_back(&fetchers[0], CallTrust::failed);
  CHECK(places.has(&fetchers[0], CallTrust::failed));
}

namespace {

PluginCall waiting_call(const std::string& name, const std::shared_ptr<const HttpRules>& rules, CallTrust trust) {
  PluginCall call;
  call.poll = name;
  call.rules = rules;
  call.trust = trust;
  return call;
}

}  // namespace

TEST_CASE("of the calls that wait the oldest that has a place goes, whoever else waits before it") {
  const auto hanging = std::make_shared<HttpRules>();
  const auto healthy = std::make_shared<HttpRules>();
  CallPlaces places;
  static_cast<void>(fill(places, hanging.get(), CallTrust::proven));
  CallQueue queue;
  queue.push(waiting_call("1", hanging, CallTrust::proven));
  queue.push(waiting_call("2", healthy, CallTrust::proven));
  queue.push(waiting_call("3", hanging, CallTrust::failed));
  queue.push(waiting_call("4", healthy, CallTrust::fresh));
  queue.push(waiting_call("5", healthy, CallTrust::proven));
  const auto next = [&] {
    auto call = queue.take_next(places);
    return call ? call->poll : std::string("none");
  };
  CHECK(next() == "2");
  CHECK(next() == "4");
  places.give_back(hanging.get(), CallTrust::proven);
  CHECK(next() == "1");
  places.take(hanging.get(), CallTrust::proven);
  CHECK(next() == "5");
  CHECK(next() == "none");
  queue.push(waiting_call("6", healthy, CallTrust::failed));
  queue.push(waiting_call("7", nullptr, CallTrust::proven));
  std::string rest;
  for (const PluginCall& call : queue.take_all()) rest += call.poll;
  CHECK(rest == "367");
  CHECK(queue.take_all().empty());
}

TEST_CASE("20,000 calls that wait because their API hangs do not slow down those of another fetcher") {
  const auto hanging = std::make_shared<HttpRules>();
  const auto healthy = std::make_shared<HttpRules>();
  CallPlaces places;
  static_cast<void>(fill(places, hanging.get(), CallTrust::proven));
  CallQueue queue;
  const auto time_of_200 = [&] {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i) {
      queue.push(waiting_call("answers", healthy, CallTrust::proven));
      const auto next = queue.take_next(places);
      REQUIRE(next);
      REQUIRE(next->poll == "answers");
    }
    return std::chrono::steady_clock::now() - start;
  };
  // The least of many: a machine that stands still for a moment says nothing about us.
  const auto best = [&] {
    auto least = time_of_200();
    for (int i = 1; i < 20; ++i) least = std::min(least, time_of_200());
    return least;
  };
  const auto alone = best();
  for (int i = 0; i < 20'000; ++i) queue.push(waiting_call("hangs", hanging, CallTrust::proven));
  CHECK(best() < 10 * alone);
}
