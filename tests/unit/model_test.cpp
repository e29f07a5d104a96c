#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

#include "model/channel_id.hpp"
#include "model/position.hpp"

using namespace restream;

namespace {

std::vector<ParamSpec> sections() {
  ParamSpec section;
  section.name = "section";
  section.default_value = "home";
  ParamSpec id;
  id.name = "id";
  id.pattern = Pattern("[0-9]+");
  return {section, id};
}

std::string id_of(Params given) {
  auto id = canonical_channel("nyt-top", sections(), std::move(given));
  return id ? id->text : "refused: " + id.error().message;
}

}  // namespace

TEST_CASE("defaults are filled in, so that leaving a param out and giving its default are one channel") {
  CHECK(id_of({}) == "nyt-top?section=home");
  CHECK(id_of({{"section", "home"}}) == "nyt-top?section=home");
}

TEST_CASE("params are sorted by name and percent-encoded") {
  CHECK(id_of({{"section", "books/review"}, {"id", "7"}}) == "nyt-top?id=7&section=books%2Freview");
  CHECK(id_of({{"section", "../x y"}}) == "nyt-top?section=..%2Fx%20y");
}

TEST_CASE("a fetcher without params is its name alone") { CHECK(canonical_channel("nats", {}, {})->text == "nats"); }

TEST_CASE("params that are unknown, repeated, malformed, too long or missing are refused by name") {
  CHECK(id_of({{"sektion", "x"}}) == "refused: unknown param 'sektion'; known params: section, id");
  CHECK(id_of({{"section", "a"}, {"section", "b"}}) == "refused: param 'section' is given more than once");
  CHECK(id_of({{"id", "7a"}}) == "refused: param 'id' must match the pattern [0-9]+");
  CHECK(id_of({{"section", "a\r\nb"}}) == "refused: param 'section' holds a control character");
  CHECK(id_of({{"section", std::string("a\0b", 3)}}) == "refused: param 'section' holds a control character");
  CHECK(id_of({{"section", std::string(1025, 'a')}}) == "refused: param 'section' is longer than 1024 bytes");
  ParamSpec needed;
  needed.name = "id";
  needed.required = true;
  CHECK(canonical_channel("t", std::vector{needed}, {}).error().message == "param 'id' is required");
}

TEST_CASE("a pattern that would make a backtracking matcher run for ever is matched at once") {
  ParamSpec spec;
  spec.name = "x";
  spec.pattern = Pattern("(a+)+b");
  CHECK_FALSE(canonical_channel("t", std::vector{spec}, {{"x", std::string(1000, 'a')}}));
}

TEST_CASE("a pattern is compiled once, not for each value that it is asked about") {
  using Clock = std::chrono::steady_clock;
  ParamSpec spec;
  spec.name = "x";
  auto three = Clock::duration::max();
  auto thousand = Clock::duration::max();
  // The least of five: a machine that stands still for a moment says nothing about us.
  for (int round = 0; round < 5; ++round) {
    const auto begin = Clock::now();
    for (int i = 0; i < 3; ++i) spec.pattern = Pattern("(\\pL{1,20} ){1,3}|[a-z]+");
    const auto compiled = Clock::now();
    const std::vector specs{spec};
    for (int i = 0; i < 1000; ++i) REQUIRE(canonical_channel("t", specs, {{"x", "sports"}}));
    three = std::min(three, compiled - begin);
    thousand = std::min(thousand, Clock::now() - compiled);
  }
  // Compiled for each, they would take 333 times as long as the three.
  CHECK(thousand < 100 * three);
}

TEST_CASE("a pattern that takes more memory than any param needs is none") {
  for (const char* fine : {"\\pL{1,100}", "(\\pL{1,20} ){1,3}|[a-z]+", "[a-z0-9]{1,1000}", "(a+)+b"}) {
    INFO(fine);
    CHECK(Pattern(fine).problem().empty());
  }
  for (const char* large : {"\\pL{255}", "[\\pL\\pN]{1,200}", "((a{1,9}b){9}c){9}\\pL{200}"}) {
    INFO(large);
    CHECK_THAT(Pattern(large).problem(), Catch::Contains("too large"));
  }
}

TEST_CASE("a query is decoded, and names with an underscore are the daemon's own") {
  const auto query = parse_query("section=books%2Freview&_since=a%3A1&plus=a+b&empty=");
  REQUIRE(query);
  CHECK(query->params == Params{{"section", "books/review"}, {"plus", "a+b"}, {"empty", ""}});
  CHECK(query->own == Params{{"_since", "a:1"}});
  CHECK_FALSE(parse_query("a=%2"));
  CHECK_FALSE(parse_query("a=%zz"));
  CHECK_FALSE(parse_query("%"));
}

TEST_CASE("a position reads back what it wrote, and nothing else") {
  const Position position{0xabcdef0123456789U, 42};
  CHECK(to_text(position) == "abcdef0123456789:42");
  CHECK(parse_position("abcdef0123456789:42") == position);
  for (const char* bad : {"", "abc", "abcdef0123456789:", "abcdef0123456789:042", "ABCDEF0123456789:42",
                          "abcdef0123456789:42 ", "abcdef0123456789:-1", "abcdef0123456789:18446744073709551616",
                          "abcdef012345678:42", "zzcdef0123456789:42", "+bcdef0123456789:42"})
    CHECK_FALSE(parse_position(bad));
}

TEST_CASE("times are written in UTC with milliseconds") {
  CHECK(rfc3339(WallTime{Millis(1772366400123)}) == "2026-03-01T12:00:00.123Z");
  CHECK(rfc3339_json(std::nullopt) == "null");
}
