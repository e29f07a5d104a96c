// Answer::items(): the list it hands on is the one a parser finds, byte for byte as the API wrote it.
#include <catch2/catch.hpp>
#include <restream/fetcher.hpp>
#include <string>
#include <vector>

using restream::Answer;
using restream::json;
using restream::detail::array_at;

namespace {

Answer answer(std::string body, int status = 200) { return {.status = status, .headers = {}, .body = std::move(body)}; }

std::string text_of(const restream::Result& result) { return result.text.empty() ? result.result.dump() : result.text; }

}  // namespace

TEST_CASE("A list is handed on as the API wrote it") {
  const std::string list = R"([ {"z": 1.50, "a": 12345678901234567890123, "t": "]}\"\\"}, {"a":[[1],[2]]} ])";
  CHECK(text_of(answer(R"({"status":"OK","results": )" + list + R"( ,"more":{"results":[]}})").items("/results")) ==
        list);
  CHECK(text_of(answer("\n" + list + "\r\n").items("")) == list);
  CHECK(text_of(answer(R"({"data":{"x":[],"children":)" + list + "}}").items("/data/children")) == list);
}

TEST_CASE("Of two lists with one name the last one counts, as for a parser") {
  CHECK(text_of(answer(R"({"a":[1],"a":[2]})").items("/a")) == "[2]");
}

TEST_CASE("What cannot be found without a parser is found with one") {
  CHECK_FALSE(array_at(R"({"\u0061":[1]})", "/a"));
  CHECK(text_of(answer(R"({"\u0061":[1]})").items("/a")) == "[1]");
  CHECK(text_of(answer(R"([[7],[8]])").items("/1")) == "[8]");
  CHECK(text_of(answer(R"({"a/b":[1]})").items("/a~1b")) == "[1]");
}

TEST_CASE("A list in an answer that is cut off, or is followed by something, is none") {
  for (const std::string body :
       {R"({"a":[1])", R"({"a":[1],)", R"({"a":[1)", R"({"a":[1]}x)", R"({"a":[1]}})", R"({"a":["1]})"}) {
    CAPTURE(body);
    CHECK_FALSE(array_at(body, "/a"));
    CHECK_THROWS_WITH(answer(body).items("/a"), Catch::Contains("is not JSON"));
  }
}

TEST_CASE("Where there is no list, the message says where it was looked for") {
  for (const std::string body : {R"({"b":[1]})", R"({"a":{"b":[1]}})", R"({"a":null})", "[]", "7"}) {
    CAPTURE(body);
    CHECK_THROWS_WITH(answer(body).items("/a"), "the API's answer has no list at '/a'");
  }
}

TEST_CASE("Text that is not UTF-8 is not JSON, as for a parser") {
  for (const std::string bad : {"\xff", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3"}) {
    CHECK_THROWS_WITH(answer(R"({"a":["x)" + bad + R"("]})").items("/a"), Catch::Contains("is not JSON"));
  }
  const std::string characters = "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]";
  CHECK(text_of(answer(characters).items("")) == characters);
}

TEST_CASE("An answer that is nested absurdly deep is refused, not walked") {
  const std::string deep(100'000, '[');
  CHECK_THROWS_WITH(answer(R"({"a":)" + deep + "}").items("/a"), Catch::Contains("nested too deeply"));
}

TEST_CASE("An answer that is not ok is a failure, whatever its body") {
  const auto result = answer("<html>", 503).items("/a");
  CHECK(result.status_code == 503);
  CHECK(result.text.empty());
}
