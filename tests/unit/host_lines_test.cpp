#include <catch2/catch.hpp>

#include "fetch/host_process_lines.hpp"

using namespace restream;

namespace {
using Lines = std::vector<std::string>;
}

TEST_CASE("a line keeps its text and loses what a terminal or a log would obey") {
  CHECK(clean_line("plain, größer, 日本, 🎈") == "plain, größer, 日本, 🎈");
  CHECK(clean_line("a\nb\rc\td\x1b[31me\x7f") == "a b c d [31me ");
  CHECK(clean_line("a\xC2\x9B"
                   "b\xC2\xA0"
                   "c") ==
        "a b\xC2\xA0"
        "c");  // C1 is control, a no-break space is not
  CHECK(clean_line(std::string("a\0b", 3)) == "a b");
}

TEST_CASE("bytes that are no UTF-8 become question marks") {
  CHECK(clean_line("a\xFF"
                   "b") == "a?b");
  CHECK(clean_line("\xC3") == "?");
  CHECK(clean_line("\xC0\x80") == "??");            // overlong
  CHECK(clean_line("\xED\xA0\x80") == "???");       // a surrogate
  CHECK(clean_line("\xF4\x90\x80\x80") == "????");  // beyond the last character
  CHECK(clean_line("\xF4\x8F\xBF\xBF") == "\xF4\x8F\xBF\xBF");
  CHECK(clean_line("\xE2\x82") == "??");
}

TEST_CASE("a line is cut at 4 KiB, between characters") {
  CHECK(clean_line(std::string(5000, 'x')) == std::string(4096, 'x'));
  CHECK(clean_line(std::string(4095, 'x') + "é") == std::string(4095, 'x'));
  CHECK(clean_line(std::string(4094, 'x') + "éé") == std::string(4094, 'x') + "é");
}

TEST_CASE("a stream is cut into lines wherever its reads fall") {
  LineSplitter splitter;
  CHECK(splitter.feed("one\ntw") == Lines{"one"});
  CHECK(splitter.feed("o\r\n\n\nthree") == Lines{"two"});
  CHECK(splitter.feed("") == Lines{});
  CHECK(splitter.rest() == "three");
  CHECK(splitter.rest().empty());
}

TEST_CASE("a line without end is kept up to 4 KiB, and the next one is whole") {
  LineSplitter splitter;
  for (int i = 0; i < 1000; ++i) CHECK(splitter.feed(std::string(1000, 'x')).empty());
  CHECK(splitter.feed("y\nnext\n") == Lines{std::string(4096, 'x'), "next"});
}

TEST_CASE("so much passes in a second and no more, and the next second begins anew") {
  const SteadyTime start{std::chrono::hours(1)};
  PerSecond budget(3);
  CHECK(budget.spend(start, 2));
  CHECK(budget.spend(start + Millis(500), 1));
  CHECK_FALSE(budget.spend(start + Millis(999), 1));
  CHECK(budget.renews() == start + Seconds(1));
  CHECK(budget.spend(start + Seconds(1), 3));
  CHECK_FALSE(budget.spend(start + Seconds(1), 1));
}
