#include <catch2/catch.hpp>

#include "fetch/schedule.hpp"
#include "fetch/timetable.hpp"
#include "http/text.hpp"

using namespace restream;
using namespace std::chrono_literals;

TEST_CASE("after a good poll the next one is an interval away, and up to 5 % more") {
  CHECK(delay_after_success(100s, {}, 0.0) == 100s);
  CHECK(delay_after_success(100s, {}, 0.999) > 104s);
  CHECK(delay_after_success(100s, {}, 0.999) <= 105s);
}

TEST_CASE("what the API asks for stretches the interval and never shortens it") {
  Hints hints;
  hints.fresh_for = 300s;
  CHECK(delay_after_success(100s, hints, 0.0) == 300s);
  hints.fresh_for = 3s;
  CHECK(delay_after_success(100s, hints, 0.0) == 100s);
  hints.poll_interval = 400s;
  hints.retry_after = 500s;
  CHECK(delay_after_success(100s, hints, 0.0) == 500s);
}

TEST_CASE("bad polls back off from the interval to 30 minutes, with jitter") {
  CHECK(delay_after_failure(10s, 1, {}, 0.0) == 10s);
  CHECK(delay_after_failure(10s, 2, {}, 0.0) == 10s);
  CHECK(delay_after_failure(10s, 4, {}, 0.0) == 40s);
  CHECK(delay_after_failure(10s, 4, {}, 0.999) > 79s);
  CHECK(delay_after_failure(10s, 1000, {}, 0.0) == 15min);
  CHECK(delay_after_failure(10s, 1000, {}, 1.0) == 30min);
  CHECK(delay_after_failure(2h, 5, {}, 1.0) == 2h);
}

TEST_CASE("Retry-After is obeyed after a bad poll") {
  Hints hints;
  hints.retry_after = 1h;
  CHECK(delay_after_failure(10s, 1, hints, 0.0) == 1h);
}

TEST_CASE("hints are read from headers, as seconds or as dates, and are at most 24 hours") {
  const WallTime now = *parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(read_hints({{"retry-after", "120"}}, now).retry_after == 120s);
  CHECK(read_hints({{"retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"}}, now).retry_after == 60s);
  CHECK(read_hints({{"retry-after", "Sat, 05 Nov 1994 08:50:37 GMT"}}, now).retry_after == 0s);
  CHECK(read_hints({{"retry-after", "99999999999999999999999"}}, now).retry_after == 24h);
  CHECK(read_hints({{"retry-after", "1000000"}}, now).retry_after == 24h);
  CHECK_FALSE(read_hints({{"retry-after", "soon"}}, now).retry_after);
  CHECK_FALSE(read_hints({{"retry-after", "-5"}}, now).retry_after);
  CHECK(read_hints({{"x-poll-interval", "60"}}, now).poll_interval == 60s);
  CHECK(read_hints({{"cache-control", "public, max-age=300"}}, now).fresh_for == 300s);
  CHECK(read_hints({{"cache-control", "max-age=300"}, {"age", "100"}}, now).fresh_for == 200s);
  CHECK(read_hints({{"cache-control", "Public, Max-Age=300"}}, now).fresh_for == 300s);
  CHECK(read_hints({{"cache-control", "max-age=\"300\""}}, now).fresh_for == 300s);
  CHECK(read_hints({{"cache-control", "MAX-AGE = 300"}}, now).fresh_for == 300s);
  CHECK_FALSE(read_hints({{"cache-control", "max-age=\"300"}}, now).fresh_for);
  CHECK_FALSE(read_hints({{"cache-control", "s-maxage=300, max-age-of=5"}}, now).fresh_for);
  CHECK(read_hints({{"cache-control", "no-store"}}, now).fresh_for == std::nullopt);
  CHECK(read_hints({{"expires", "Sun, 06 Nov 1994 08:59:37 GMT"}}, now).fresh_for == 600s);
}

TEST_CASE("a date beyond what a clock can hold is a day away, and not in the past") {
  const WallTime now = *parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  for (const char* year : {"2262", "2263", "2500", "5000", "9999"}) {
    const std::string date = "Fri, 31 Dec " + std::string(year) + " 23:59:59 GMT";
    INFO(date);
    CHECK(read_hints({{"retry-after", date}}, now).retry_after == 24h);
    CHECK(read_hints({{"expires", date}}, now).fresh_for == 24h);
    CHECK(read_hints({{"expires", date}, {"date", "Sun, 06 Nov 1994 08:49:37 GMT"}}, now).fresh_for == 24h);
  }
  CHECK(read_hints({{"expires", "Sat, 01 Jan 0000 00:00:00 GMT"}}, now).fresh_for == 0s);
  CHECK(read_hints({{"expires", "Sun, 06 Nov 1994 08:59:37 GMT"}, {"date", "Fri, 31 Dec 9999 23:59:59 GMT"}}, now)
            .fresh_for == 0s);
}

TEST_CASE("the two older forms of a date are read as well") {
  const WallTime now = *parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == now);
  CHECK(parse_http_date("Sun Nov  6 08:49:37 1994") == now);
  CHECK(read_hints({{"retry-after", "Sunday, 06-Nov-94 08:50:37 GMT"}}, now).retry_after == 60s);
  CHECK_FALSE(parse_http_date("Sunday, 06-Nov-94"));
  CHECK_FALSE(parse_http_date("Sun Nov  6 08:49:37 1994 and more"));
}

TEST_CASE("max-age counts in whichever of several Cache-Control headers it stands") {
  const WallTime now = *parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(read_hints({{"cache-control", "private"}, {"cache-control", "max-age=300"}}, now).fresh_for == 300s);
  CHECK(read_hints({{"cache-control", "max-age=300"}, {"cache-control", "no-transform"}}, now).fresh_for == 300s);
}

TEST_CASE("a first poll comes at once unless something still runs") {
  const WallTime now{Seconds(1000000)};
  CHECK(delay_of_first(100s, {}, now) == 0s);
  Schedule schedule;
  schedule.not_before = now + 70s;
  CHECK(delay_of_first(100s, schedule, now) == 70s);
  schedule.not_before = now - 70s;
  CHECK(delay_of_first(100s, schedule, now) == 0s);
}

TEST_CASE("a clock that was set back by a year delays nothing by more than a day") {
  Schedule schedule;
  const WallTime now{Seconds(1000000)};
  schedule.not_before = now + std::chrono::days(365);
  CHECK(delay_of_first(100s, schedule, now) == 24h);
}

TEST_CASE("a clock that was set back delays nothing by more than was left to wait at the last poll") {
  Schedule schedule;
  const WallTime now{Seconds(1000000)};
  schedule.last_poll = now + 5h;
  schedule.not_before = *schedule.last_poll + 100s;
  CHECK(delay_of_first(100s, schedule, now) == 100s);
  schedule.not_before = *schedule.last_poll + 3h;
  CHECK(delay_of_first(100s, schedule, now) == 3h);
  // Set back by less than the time that has passed since.
  schedule.last_poll = now - 20s;
  schedule.not_before = now + 80s;
  CHECK(delay_of_first(100s, schedule, now) == 80s);
}

TEST_CASE("a timetable gives names back in the order of their times, each once") {
  Timetable table;
  const SteadyTime start{};
  table.set("b", start + 2s);
  table.set("a", start + 1s);
  table.set("c", start + 3s);
  table.set("a", start + 5s);
  table.clear("c");
  CHECK(table.earliest() == start + 2s);
  CHECK_FALSE(table.take_due(start + 1s));
  CHECK(table.take_due(start + 9s) == "b");
  CHECK(table.take_due(start + 9s) == "a");
  CHECK_FALSE(table.take_due(start + 9s));
}
