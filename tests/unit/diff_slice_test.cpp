// Cutting a poll's result into items.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "diff/diff.hpp"

using restream::DiffRules;
using restream::slice_result;

namespace {

const DiffRules by_id{.id_field = "id", .ignore = {}, .unordered = {}};

std::string ok(const std::string& items) { return R"({"status_code":200,"result":[)" + items + "]}"; }

std::string why_not(const std::string& text, const DiffRules& rules = by_id) {
  const auto sliced = slice_result(text, rules);
  return sliced ? "" : sliced.error().message;
}

std::string nested(std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }

}  // namespace

TEST_CASE("Items are cut out byte for byte") {
  const std::string first =
      R"({"id":"a","n":123456789012345678901234567890,"f":1.10,"e":1E+2,"s":"\u00e9\/ {[\"","x":{"y":[ 1 , 2]}})";
  const std::string second = R"({ "unknown": -0.0, "id" : "b" })";
  const auto sliced = slice_result(
      "\n { \"x\": [1,{}], \"result\" :\t[" + first + " ,\n" + second + "\n] , \"status_code\":200 } ", by_id);
  REQUIRE(sliced);
  CHECK(sliced->status_code == 200);
  REQUIRE(sliced->items.size() == 2);
  CHECK(sliced->items[0].id == "a");
  CHECK(sliced->items[0].json == first);
  CHECK(sliced->items[1].id == "b");
  CHECK(sliced->items[1].json == second);
}

TEST_CASE("An item is one line, and nothing else of it changes") {
  const auto sliced =
      slice_result(ok("{\r\n  \"id\": \"a\",\n\t\"t\": \"two  words\\n\\\\\",\n  \"l\": [1, 2,\n 3]\r}"), by_id);
  REQUIRE(sliced);
  CHECK(sliced->items.at(0).json == "{\"id\": \"a\",\"t\": \"two  words\\n\\\\\",\"l\": [1, 2,3]}");
}

TEST_CASE("Ids are texts or numbers, and numbers keep their decimal text") {
  const auto sliced =
      slice_result(ok(R"({"id":12345678901234567890123},{"id":-7},{"id":"\u00fc"},{"id":1.50})"), by_id);
  REQUIRE(sliced);
  REQUIRE(sliced->items.size() == 4);
  CHECK(sliced->items[0].id == "12345678901234567890123");
  CHECK(sliced->items[1].id == "-7");
  CHECK(sliced->items[2].id == "ü");
  CHECK(sliced->items[3].id == "1.50");
}

TEST_CASE("Only the item's own member is its id") {
  const auto sliced =
      slice_result(ok(R"({"x":{"id":"no"},"id":"a"},{"id":"b","y":[{"id":"no"}]},{"id":"no","id":"c"})"), by_id);
  REQUIRE(sliced);
  REQUIRE(sliced->items.size() == 3);
  CHECK(sliced->items[0].id == "a");
  CHECK(sliced->items[1].id == "b");
  CHECK(sliced->items[2].id == "c");
}

TEST_CASE("A pointer finds the id in the depth") {
  const DiffRules rules{.id_field = "/a~1b/1/id", .ignore = {}, .unordered = {}};
  const auto sliced =
      slice_result(ok(R"({"id":"no","a/b":[{"id":"no"},{"x":{"id":"no"},"id":"yes"},{"id":"no"}]})"), rules);
  REQUIRE(sliced);
  CHECK(sliced->items.at(0).id == "yes");
}

TEST_CASE("Items without an id are skipped and counted") {
  const auto sliced = slice_result(
      ok(R"({"id":"a"},{"id":null},{"id":"b"},{"id":""},{"id":"c"},{"id":{"id":"x"}},7,{"id":"d"})"), by_id);
  REQUIRE(sliced);
  CHECK(sliced->items.size() == 4);
  CHECK(sliced->skipped == 4);
}

TEST_CASE("A result in which over half of the items have no id is refused") {
  CHECK(why_not(ok(R"({"id":"a"},{},{})")) ==
        "the result is refused: 2 of 3 items have no 'id' that is a string or a number");
  CHECK(why_not(ok("{}")) != "");
  CHECK(why_not(ok("")) == "");
}

TEST_CASE("Of two items with one id the last stays in the place of the first") {
  const auto sliced = slice_result(ok(R"({"id":"a","n":1},{"id":"b"},{"id":"a","n":2},{"id":"a","n":3})"), by_id);
  REQUIRE(sliced);
  REQUIRE(sliced->items.size() == 2);
  CHECK(sliced->items[0].json == R"({"id":"a","n":3})");
  CHECK(sliced->items[1].id == "b");
  CHECK(sliced->repeated == 2);
}

TEST_CASE("A result that is cut short anywhere is refused") {
  const std::string whole = ok(R"({"id":"a","n":[1.5e3,true,null,"x\u00e9ü"]},{"id":7})");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(whole.substr(0, size));
    REQUIRE_FALSE(slice_result(whole.substr(0, size), by_id));
  }
  REQUIRE(slice_result(whole, by_id));
}

TEST_CASE("A result with any byte turned into another never breaks the reader") {
  const std::string whole = ok(R"({"id":"a","n":[1.5e3,true,"x\u00e9ü"]},{"id":7})");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = whole;
      text[at] = static_cast<char>(byte);
      const auto sliced = slice_result(text, by_id);
      if (!sliced) continue;
      for (const auto& item : sliced->items) REQUIRE(nlohmann::json::accept(item.json));
    }
  }
}

TEST_CASE("What is not a result is refused with its reason") {
  CHECK(why_not("") != "");
  CHECK(why_not("<html>") == "the result is refused: it is not valid JSON at byte 1");
  CHECK(why_not("[]") == "the result is refused: it is not a JSON object");
  CHECK(why_not("7") == "the result is refused: it is not a JSON object");
  CHECK(why_not("{}") == "the result is refused: it has no 'status_code'");
  CHECK(why_not(R"({"status_code":200})") ==
        "the result is refused: 'status_code' is 200, but 'result' is not an array of items");
  CHECK(why_not(R"({"status_code":200,"result":"text"})") != "");
  CHECK(why_not(R"({"status_code":200,"result":{"id":1}})") != "");
  CHECK(why_not(R"({"status_code":"200","result":[]})") != "");
  CHECK(why_not(R"({"status_code":200.5,"result":[]})") != "");
  CHECK(why_not(R"({"status_code":99,"result":[]})") != "");
  CHECK(why_not(R"({"status_code":99999999999999,"result":[]})") != "");
  CHECK(why_not(R"({"status_code":[],"result":[]})") == "the result is refused: 'status_code' is not a number");
  CHECK(why_not(ok("") + "x") != "");
  CHECK(why_not(ok("") + std::string("\0{", 2)) != "");
  CHECK(why_not(ok(R"({"id":1e400})")).find("a number is out of range") != std::string::npos);
  CHECK(why_not(ok("{\"id\":\"a\nb\"}")) != "");
  CHECK(why_not(ok("{\"id\":01}")) != "");
}

TEST_CASE("Text that is not UTF-8 is refused") {
  for (const char* bad : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
    CHECK(why_not(ok(std::string(R"({"id":"a","t":")") + bad + "\"}")) != "");
    CHECK(why_not(ok(std::string(R"({"id":"a",")") + bad + "\":1}")) != "");
  }
  CHECK(why_not(ok(R"({"id":"a","t":"\ud800"})")) != "");
  CHECK(why_not(ok(R"({"id":"a","t":"\ud83d\ude00"})")) == "");
}

TEST_CASE("JSON deeper than 64 levels is refused") {
  // The result's object and array and the item itself are the first three.
  CHECK(why_not(ok(R"({"id":"a","d":)" + nested(61) + "}")) == "");
  CHECK(why_not(ok(R"({"id":"a","d":)" + nested(62) + "}")).find("deeper than 64 levels") != std::string::npos);
  CHECK(why_not(ok(std::string(2'000'000, '['))) != "");
}

TEST_CASE("A result in which an item has more than a million values is refused") {
  // The object, its id and the list are three of them.
  const auto many = [](std::size_t more) {
    std::string values = "0";
    for (std::size_t i = 1; i < more; ++i) values += ",0";
    return R"({"id":"a","l":[)" + values + "]}";
  };
  CHECK(why_not(ok(many(999'997) + R"(,{"id":"b","l":[0]})")) == "");
  CHECK(why_not(ok(R"({"id":"b"},)" + many(999'998))).find("more than 1000000 values") != std::string::npos);
}

TEST_CASE("A failed call's result is its text") {
  const auto sliced = slice_result(R"({"status_code":404,"result":"no \"such\" page"})", by_id);
  REQUIRE(sliced);
  CHECK(sliced->status_code == 404);
  CHECK(sliced->text == "no \"such\" page");
  CHECK(slice_result(R"({"status_code":500,"result":[{},{}]})", by_id)->items.empty());
}
