// Reading a result again by the layout of the one before.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "diff/diff.hpp"
#include "diff/layout.hpp"

using namespace restream;

namespace {

const DiffRules by_id{.id_field = "id", .ignore = {}, .unordered = {}};

std::string ok(const std::string& items) { return R"({"status_code":200,"result":[)" + items + "]}"; }

std::vector<std::string> ids_of(const Sliced& sliced) {
  std::vector<std::string> ids;
  for (const SlicedItem& item : sliced.items) ids.push_back(item.id);
  return ids;
}

struct Before {
  explicit Before(const std::string& text) {
    const auto sliced = slice_result(text, by_id);
    REQUIRE(sliced);
    ids = ids_of(*sliced);
    for (const SlicedItem& item : sliced->items) items[item.id] = item.json;
    layout = layout_of(text, *sliced);
  }
  std::vector<std::string> ids;
  std::map<std::string, std::string> items;
  std::optional<Layout> layout;
};

// How many items were seen; that all else is as the whole reader has it is checked. Nothing when it wants a look.
std::optional<std::size_t> seen_of(const Before& before, const std::string& text) {
  if (!before.layout) return {};
  const auto again = slice_again(text, by_id, *before.layout, before.ids);
  if (!again) return {};
  const auto whole = slice_result(text, by_id);
  REQUIRE(whole);
  CHECK(again->status_code == whole->status_code);
  CHECK(whole->repeated == 0);
  CHECK(whole->skipped == 0);
  REQUIRE(ids_of(*again) == ids_of(*whole));
  std::size_t seen = 0;
  for (std::size_t i = 0; i < whole->items.size(); ++i) {
    const SlicedItem& item = again->items[i];
    REQUIRE(whole->items[i].json == (item.seen ? before.items.at(item.id) : item.json));
    CHECK(whole->items[i].begin == item.begin);
    CHECK(whole->items[i].size == item.size);
    seen += item.seen ? 1 : 0;
  }
  return seen;
}

}  // namespace

TEST_CASE("Of a result read before, only what is different is looked into") {
  const Before before(ok(R"({"id":"a","n":1}, {"id":"b","n":1},{"id":"c"},{"id":"d"})"));
  CHECK(seen_of(before, ok(R"({"id":"a","n":1}, {"id":"b","n":1},{"id":"c"},{"id":"d"})")) == 4);
  CHECK(seen_of(before, ok(R"({"id":"a","n":1},{"id":"b","n":22} ,{"id":"c"},{"id":"d"})")) == 3);
  CHECK(seen_of(before, ok(R"({"id":"new"},{"id":"a","n":1},{"id":"b","n":1},{"id":"c"},{"id":"d"})")) == 4);
  CHECK(seen_of(before, ok(R"({"id":"a","n":1},{"id":"d"})")) == 1);  // the one behind what is gone is read
  CHECK(seen_of(before, ok(R"({"id":"a","n":1},{"id":"d"},{"id":"e"})")) == 1);
  CHECK(seen_of(before, ok(R"({"id":"d"},{"id":"a","n":1})")) == 0);
}

TEST_CASE("A result that is not as the one before is left to the whole reader") {
  const Before before(ok(R"({"id":"a"},{"id":"b"},{"id":"c"})"));
  const std::vector<std::string> texts{
      "",
      "{}",
      ok(""),
      R"({"status_code":201,"result":[{"id":"a"},{"id":"b"},{"id":"c"}]})",
      R"({"status_code":200,"result":[{"id":"a"},{"id":"b"},{"id":"c"}],"result":[]})",
      R"({"status_code":200,"result":[{"id":"a"},{"id":"b"},{"id":"c"}]}x)",
      R"({"status_code":200,"result":[{"id":"a"},{"id":"b"},{"id":"c"}])",
      R"({"status_code":200,"result":[{"id":"a"}{"id":"b"},{"id":"c"}]})",
      R"({"status_code":200,"result":[{"id":"a"},{"id":"b"},]})",
      ok(R"({"id":"a"},{"id":"b"},{"id":"c"},{"id":"a"})"),
      ok(R"({"id":"x"},{"id":"x"},{"id":"a"})"),
      ok(R"({"id":"a"},{"id":"b"},{"no":"c"})"),
      ok(R"({"id":"a"},{"id":"b"},7)"),
      ok(R"({"id":"a"},{"id":"b"},{"id":"c","n":1e999})"),
      ok(R"({"id":"a"},{"id":"b"},{"id":"c","n":")" + std::string("\xff") + R"("})"),
      ok(R"({"id":"a"},{"id":"b"},{"id":"c","n":)" + std::string(70, '[') + std::string(70, ']') + "}"),
      ok(R"({"id":"a"},{"id":"b"},{"id":"c"})" + std::string(1, '\0')),
  };
  for (const std::string& text : texts) {
    INFO(text);
    CHECK_FALSE(seen_of(before, text));
  }
}

TEST_CASE("An item may be nested as deep alone as in the whole result") {
  const Before before(ok(R"({"id":"a"},{"id":"b"})"));
  // The object around all, the list and the item are three levels.
  const auto deep = [](std::size_t levels) {
    return ok(R"({"id":"a","n":)" + std::string(levels, '[') + std::string(levels, ']') + R"(},{"id":"b"})");
  };
  CHECK(seen_of(before, deep(61)) == 1);
  CHECK_FALSE(seen_of(before, deep(62)));
  CHECK_FALSE(slice_result(deep(62), by_id));
}

TEST_CASE("An item may have as many values alone as in the whole result") {
  const Before before(ok(R"({"id":"a"},{"id":"b"})"));
  const auto many = [](std::size_t more) {
    std::string values = "0";
    for (std::size_t i = 1; i < more; ++i) values += ",0";
    return ok(R"({"id":"a","l":[)" + values + R"(]},{"id":"b"})");
  };
  CHECK(seen_of(before, many(999'997)) == 1);
  CHECK_FALSE(seen_of(before, many(999'998)));
}

TEST_CASE("There is no layout of a result with skipped or repeated items, without any, or with a lot around the list") {
  CHECK_FALSE(Before(ok("")).layout);
  CHECK_FALSE(Before(ok(R"({"id":"a"},{"id":"b"},{"no":1})")).layout);
  CHECK_FALSE(Before(ok(R"({"id":"a"},{"id":"b"},{"id":"a"})")).layout);
  CHECK_FALSE(Before(R"({"x":")" + std::string(2000, 'x') + R"(","status_code":200,"result":[{"id":"a"}]})").layout);
}

TEST_CASE("Whatever is edited, reading again says what reading the whole says") {
  std::mt19937 random(4711);  // NOLINT: a test that is the same every time
  const auto below = [&random](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  const auto make = [&](std::size_t id) {
    const std::string pad = below(4) == 0 ? "\n " : "";
    return "{" + pad + R"("id":)" + std::to_string(id) + R"(,"n":)" + std::to_string(below(3)) + "}";
  };
  std::size_t read_again = 0;
  std::size_t seen = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> items;
    const std::size_t count = 1 + below(60);
    for (std::size_t id = 0; id < count; ++id) items.push_back(make(id));
    const auto text_of = [](const std::vector<std::string>& list) {
      std::string text;
      for (const std::string& item : list) text += (text.empty() ? "" : ",") + item;
      return ok(text);
    };
    const Before before(text_of(items));
    for (std::size_t edits = below(5); edits > 0 && !items.empty(); --edits) {
      const std::size_t at = below(items.size());
      const auto place = items.begin() + static_cast<std::ptrdiff_t>(at);
      switch (below(5)) {
        case 0:
          *place = make(at);
          break;
        case 1:
          items.erase(place);
          break;
        case 2:
          items.insert(place, make(below(10) == 0 ? at : 1000 + below(1000)));
          break;
        case 3:
          std::swap(*place, items[below(items.size())]);
          break;
        default:
          std::rotate(items.begin(), place, items.end());
          break;
      }
    }
    std::string text = text_of(items);
    if (below(20) == 0) text[below(text.size())] = "{}[],:\"0 \n"[below(10)];
    INFO(text);
    if (const auto found = seen_of(before, text)) {
      ++read_again;
      seen += *found;
    }
  }
  CHECK(read_again > 2000);
  CHECK(seen > 20'000);
}
