// Channels seen through filters. nlohmann's json is the judge of what an item looks like through one.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "diff/diff.hpp"
#include "diff/projection.hpp"

using namespace restream;
using nlohmann::json;

namespace {

using Seen = std::optional<std::string>;

// What is at each selected place, as `pointer=value`, of an item as its followers see it.
json places(const std::string& seen, const Filter& filter) {
  const json item = json::parse(seen);
  json found = json::object();
  for (const std::string& pointer : *filter.select)
    if (item.contains(json::json_pointer(pointer))) found[pointer] = item[json::json_pointer(pointer)];
  return found;
}

bool holds(const json& item, const Filter& filter) {
  for (const auto& [pointer, value] : filter.where) {
    const json::json_pointer at(pointer);
    if (!item.contains(at) || item[at] != json::parse(value)) return false;
  }
  return true;
}

std::vector<std::string> all_items() {
  std::vector<std::string> items;
  for (const std::string a : {"", R"("a":1)", R"("a":1.0)", R"("a":null)", R"("a":{"b":1})", R"("a":{"b":2,"c":"x"})",
                              R"("a":{"c":"y"})", R"("a":[1,{"b":2},3])", R"("a":[1,{"b":3}])", R"("a":[])"})
    for (const std::string t : {"", R"("t":"x")", R"("t":"y")"})
      items.push_back("{" + a + (a.empty() || t.empty() ? "" : ",") + t + "}");
  return items;
}

std::vector<Filter> all_filters() {
  using Pointers = std::vector<std::string>;
  std::vector<Filter> filters;
  const std::vector<std::optional<Pointers>> selects = {
      std::nullopt,     Pointers{},         Pointers{"/a"},           Pointers{"/t", "/a/b"}, Pointers{"/a/b", "/a"},
      Pointers{"/a/c"}, Pointers{"/a/1/b"}, Pointers{"/a/2", "/a/0"}, Pointers{"/none", "/t"}};
  const std::vector<std::vector<Filter::Condition>> wheres = {{},
                                                              {{"/t", R"("x")"}},
                                                              {{"/a", "1"}},
                                                              {{"/a", "null"}},
                                                              {{"/a/b", "2e0"}, {"/a/c", R"("x")"}},
                                                              {{"/a/1/b", "2"}}};
  for (const auto& select : selects)
    for (const auto& where : wheres) filters.push_back({.select = select, .where = where});
  return filters;
}

Change change_between(const Seen& before, const Seen& after) {
  Change change{.kind = ChangeKind::new_item, .id = "i", .item = after.value_or(""), .patch = {}, .undo = {}};
  if (before && after) {
    Patches patches = make_patches(*before, *after);
    change.kind = ChangeKind::updated_item;
    change.patch = patches.forward;
    change.undo = patches.back;
  } else if (before) {
    change.kind = ChangeKind::removed_item;
    change.undo = *before;
  }
  return change;
}

json as_json(const Seen& text) { return text ? json::parse(*text) : json(); }

}  // namespace

TEST_CASE("An item is seen when all conditions hold, and then what is selected of it is at its place") {
  for (const Filter& filter : all_filters()) {
    const Projection projection(filter);
    for (const std::string& item : all_items()) {
      INFO(filter_key(filter) << " of " << item);
      const Seen seen = projection.item(item);
      REQUIRE(seen.has_value() == holds(json::parse(item), filter));
      if (!seen) continue;
      if (!filter.select) {
        CHECK(*seen == item);
        continue;
      }
      CHECK(places(*seen, filter) == places(item, filter));
      // And nothing else: what is not selected leaves no trace but nulls before an element.
      std::string rest = *seen;
      const json selected = places(item, filter);
      for (const auto& [pointer, _] : selected.items()) {
        if (!json::parse(rest).contains(json::json_pointer(pointer))) continue;  // gone with one above it
        const json cut = json::parse(rest).patch({{{"op", "replace"}, {"path", pointer}, {"value", nullptr}}});
        rest = cut.dump();
      }
      CHECK(rest.find_first_of("123xy") == std::string::npos);
    }
  }
}

TEST_CASE("Whoever follows the changes seen through a filter has what the filter shows of the item, after each one") {
  std::vector<Seen> states = {std::nullopt};
  for (std::string& item : all_items()) states.emplace_back(std::move(item));
  std::size_t told = 0;
  for (const Filter& filter : all_filters()) {
    const Projection projection(filter);
    for (const Seen& before : states) {
      for (const Seen& after : states) {
        if (as_json(before) == as_json(after)) continue;
        INFO(filter_key(filter) << ": " << before.value_or("nothing") << " to " << after.value_or("nothing"));
        const Change change = change_between(before, after);
        const Seen was = before ? projection.item(*before) : std::nullopt;
        const Seen is = after ? projection.item(*after) : std::nullopt;
        const auto seen = BothStates(change).through(projection);
        REQUIRE(seen.has_value() == (as_json(was) != as_json(is)));
        if (!seen) continue;
        ++told;
        REQUIRE(seen->id == "i");
        if (!was) {
          REQUIRE(seen->kind == ChangeKind::new_item);
          REQUIRE(seen->patch.empty());
        } else if (is) {
          REQUIRE(seen->kind == ChangeKind::updated_item);
          REQUIRE(json::parse(*was).patch(json::parse(seen->patch)) == json::parse(*is));
        } else {
          REQUIRE(seen->kind == ChangeKind::removed_item);
        }
        REQUIRE(as_json(seen->kind == ChangeKind::removed_item ? Seen() : Seen(seen->item)) == as_json(is));
      }
    }
  }
  CHECK(told > 1000);
}

TEST_CASE("Selected bytes are the API's own, and an element keeps its index") {
  const Projection projection({.select = {{"/n", "/l/2/~1", "/a~0b", "/\"\n"}}, .where = {}});
  CHECK(*projection.item(R"({"x":1,"n":12345678901234567890.10,"l":[1,2,{"/":[ 1 ]},4],"a~b":"\u00e9","\"\n":{}})") ==
        R"({"\"\u000a":{},"a~b":"\u00e9","l":[null,null,{"/":[ 1 ]}],"n":12345678901234567890.10})");
}

TEST_CASE("An index is written as JSON pointers write it, in conditions as in what is selected") {
  const std::string item = R"({"l":["a","b"]})";
  CHECK(Projection({.select = {}, .where = {{"/l/1", R"("b")"}}}).item(item));
  for (const std::string odd : {"/l/01", "/l/-", "/l/+1", "/l/1 ", "/l/2", "/l/18446744073709551617"}) {
    INFO(odd);
    CHECK_FALSE(Projection({.select = {}, .where = {{odd, R"("b")"}}}).item(item));
    CHECK(*Projection({.select = std::vector{odd}, .where = {}}).item(item) == "{}");
  }
}

TEST_CASE("A change of which it is not known what was before is told rather once too often") {
  const Projection projection({.select = {}, .where = {{"/t", "1"}}});
  const Change updated{.kind = ChangeKind::updated_item, .id = "i", .item = R"({"t":1})", .patch = "[]", .undo = {}};
  CHECK(BothStates(updated).through(projection)->kind == ChangeKind::new_item);
  const Change left{.kind = ChangeKind::updated_item, .id = "i", .item = R"({"t":2})", .patch = "[]", .undo = {}};
  CHECK(BothStates(left).through(projection)->kind == ChangeKind::removed_item);
  const Change removed{.kind = ChangeKind::removed_item, .id = "i", .item = {}, .patch = {}, .undo = {}};
  CHECK(BothStates(removed).through(projection)->kind == ChangeKind::removed_item);
}

TEST_CASE("Filters that ask for the same are one, in whatever order they say it") {
  const auto key = [](std::optional<std::vector<std::string>> select, std::vector<Filter::Condition> where) {
    return filter_key({.select = std::move(select), .where = std::move(where)});
  };
  CHECK(key({{"/a", "/b", "/a"}}, {{"/x", "1"}, {"/y", "2"}}) == key({{"/b", "/a"}}, {{"/y", "2"}, {"/x", "1"}}));
  CHECK(key({{"/a"}}, {}) != key({}, {}));
  CHECK(key({{}}, {}) != key({}, {}));
  CHECK(key({{"/a", "/b"}}, {}) != key({{"/a1:/b"}}, {}));
  CHECK(key({}, {{"/a", "\"1\""}}) != key({}, {{"/a", "1"}}));
}
