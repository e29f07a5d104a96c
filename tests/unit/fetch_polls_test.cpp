// What polls leave behind besides items: counts, and lines in the log.
#include <algorithm>

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
