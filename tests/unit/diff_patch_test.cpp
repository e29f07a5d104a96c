// Patches and content fingerprints. nlohmann's own json::patch is the independent judge of what a patch does.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "diff/diff.hpp"
#include "diff/json_reader.hpp"

using nlohmann::json;
using restream::content_fingerprint;
using restream::DiffRules;
using restream::make_patch;

namespace {

json vectors(const std::string& name) {
  std::ifstream file(std::string(TEST_VECTORS) + "/" + name);
  REQUIRE(file);
  return json::parse(file);
}

// Few names and values, so that two random documents have much in common.
class RandomJson {
 public:
  explicit RandomJson(std::uint32_t seed) : random_(seed) {}

  json value(int depth) {
    switch (below(depth > 0 ? 9 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 0;
      case 2:
        return below(4);
      case 3:
        return static_cast<double>(below(4)) + 0.5;
      case 4:
        return below(2) == 0 ? "x" : "";
      case 5:
        return -static_cast<int>(below(3));
      case 6:
        return array(depth);
      default:
        return object(depth);
    }
  }
  json object(int depth) {
    static const std::vector<std::string> names = {"a", "b", "c/d", "e~f", "", "\"", "ü", "0", "~1", "\n"};
    json made = json::object();
    for (std::size_t i = below(6); i > 0; --i) made[names[below(names.size())]] = value(depth - 1);
    return made;
  }
  // The same with a few things done to it: most real changes are small.
  void disturb(json& document, int times) {
    for (; times > 0; --times) {
      json* at = &document;
      while (at->is_structured() && !at->empty() && below(3) != 0) {
        auto child = at->begin();
        std::advance(child, static_cast<std::ptrdiff_t>(below(at->size())));
        at = &*child;
      }
      if (at->is_array() && below(2) == 0)
        at->insert(at->begin() + static_cast<std::ptrdiff_t>(below(at->size() + 1)), value(2));
      else if (at->is_array() && !at->empty() && below(2) == 0)
        at->erase(below(at->size()));
      else
        *at = value(2);
    }
  }
  std::size_t below(std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_); }

 private:
  json array(int depth) {
    json made = json::array();
    for (std::size_t i = below(5); i > 0; --i) made.push_back(value(depth - 1));
    return made;
  }
  std::mt19937 random_;
};

}  // namespace

TEST_CASE("Patches are what the vectors say, and do what they should") {
  for (const json& vector : vectors("patch.json")) {
    INFO(vector.at("name"));
    const json patch = json::parse(make_patch(vector.at("before").dump(), vector.at("after").dump()));
    CHECK(patch == vector.at("patch"));
    CHECK(vector.at("before").patch(patch) == vector.at("after"));
  }
}

TEST_CASE("A patch turns any document into any other") {
  RandomJson random(20260301);
  std::size_t operations = 0;
  for (int i = 0; i < 6000; ++i) {
    const json before = random.value(4);
    json after = before;
    if (i % 2 == 0)
      after = random.value(4);
    else
      random.disturb(after, 1 + i % 4);
    const std::string text = make_patch(before.dump(), after.dump());
    INFO(before.dump() << "\n" << after.dump() << "\n" << text);
    const json patch = json::parse(text);
    REQUIRE(before.patch(patch) == after);
    REQUIRE(patch.empty() == (before == after));
    operations += patch.size();
  }
  CHECK(operations > 6000);  // the generator does make differences
}

TEST_CASE("Documents are equal in content exactly when their patch is empty") {
  RandomJson random(77);
  int same = 0;
  for (int i = 0; i < 3000; ++i) {
    const json before = random.object(3);
    json after = before;
    random.disturb(after, static_cast<int>(random.below(2)));
    const bool equal = content_fingerprint(before.dump(), {}) == content_fingerprint(after.dump(2), {});
    INFO(before.dump() << "\n" << after.dump());
    REQUIRE(equal == (make_patch(before.dump(), after.dump()) == "[]"));
    REQUIRE(equal == (before == after));
    same += equal ? 1 : 0;
  }
  CHECK(same > 500);
  CHECK(same < 2900);
}

TEST_CASE("Numbers keep their text in a patch") {
  CHECK(make_patch(R"({"n":1})", R"({"n":123456789012345678901234567890})") ==
        R"([{"op":"replace","path":"/n","value":123456789012345678901234567890}])");
  CHECK(
      make_patch(R"({"n":1})", R"({"n":1.10,"m":-0.0,"k":[1E+2]})") ==
      R"([{"op":"replace","path":"/n","value":1.10},{"op":"add","path":"/k","value":[1E+2]},{"op":"add","path":"/m","value":-0.0}])");
  CHECK(make_patch("[12345678901234567890123]", "[12345678901234567890124]") !=  // one double, two numbers
        "[]");
}

TEST_CASE("Numbers of equal value are equal") {
  CHECK(make_patch("[1,100,0.5,-0,0e9,12.5e1,1e-400]", "[1.0,1e2,5E-1,0,0,125,10e-401]") == "[]");
  CHECK(make_patch("[1e-99999999999999999999]", "[1e-99999999999999999999]") == "[]");
}

TEST_CASE("Content fingerprints are what the vectors say") {
  for (const json& vector : vectors("content.json")) {
    INFO(vector.at("name"));
    const DiffRules rules{.id_field = "id",
                          .ignore = vector.value("ignore", std::vector<std::string>()),
                          .unordered = vector.value("unordered", std::vector<std::string>())};
    const bool same = content_fingerprint(vector.at("a").get<std::string>(), rules) ==
                      content_fingerprint(vector.at("b").get<std::string>(), rules);
    CHECK(same == vector.at("same").get<bool>());
  }
}

TEST_CASE("The content fingerprint of a known item stays the same over releases") {
  // It is on disk: another value here would make every stored item look changed after an upgrade.
  const auto print = content_fingerprint(R"({"id":"a","n":[1.50,true,null,"é"]})", {});
  CHECK(print == content_fingerprint(R"({"n":[15e-1,true,null,"\u00e9"],"id":"a"})", {}));
  CHECK(print.high == 0x8338d71cd67e1f8d);
  CHECK(print.low == 0xfb3b54c82662234e);
}

TEST_CASE(
    "A patch back undoes the patch, is applied as nlohmann applies it, and is never longer than the item by much") {
  RandomJson random(7);
  for (int round = 0; round < 3000; ++round) {
    const json before = random.object(4);
    json after = before;
    if (round % 4 == 0)
      after = random.object(4);
    else
      random.disturb(after, 1 + round % 3);
    const std::string old_text = before.dump();
    const std::string new_text = after.dump();
    INFO(old_text << " to " << new_text);
    const restream::Patches patches = restream::make_patches(old_text, new_text);
    CHECK(patches.forward == make_patch(old_text, new_text));
    REQUIRE(json::parse(*restream::apply_patch(old_text, patches.forward)) == after);
    REQUIRE(json::parse(*restream::apply_patch(new_text, patches.back)) == before);
    CHECK(patches.back.size() <= old_text.size() + 50);
  }
}

TEST_CASE("A patch that would be long beyond measure, or long in the making or applying, replaces the item") {
  const auto is_whole = [](const std::string& patch, const std::string& after) {
    return patch == R"([{"op":"replace","path":"","value":)" + after + "}]";
  };
  const auto list = [](int count, const std::string& one) {
    std::string out;
    for (int i = 0; i < count; ++i) out += (i == 0 ? "" : ",") + one;
    return out;
  };
  std::string before;
  std::string after;
  SECTION("the path is in each of many operations") {
    const std::string head = "{\"" + std::string(20'000, 'k') + "\":[";
    before = head + list(2'000, "1") + "]}";
    after = head + list(2'000, "2") + "]}";
  }
  SECTION("many elements come where many others have to make room") {
    const std::string rest = list(20'000, '"' + std::string(60, 'x') + '"');
    before = R"({"l":[0,)" + rest + "]}";
    after = R"({"l":[0,)" + list(20'000, "1") + "," + rest + "]}";
  }
  SECTION("many members come among many others") {
    std::string old_members;
    std::string new_members;
    for (int i = 100'000; i < 120'000; ++i) {
      old_members += ",\"" + std::to_string(i) + "1\":\"" + std::string(60, 'x') + '"';
      new_members += ",\"" + std::to_string(i) + "0\":1";
    }
    before = R"({"z":0)" + old_members + "}";
    after = R"({"z":0)" + old_members + new_members + "}";
  }
  SECTION("many elements lie deep") {
    const auto deep = [&](const std::string& last) {
      return R"({"l":)" + std::string(58, '[') + list(20'000, "1") + "," + last + std::string(58, ']') + "}";
    };
    before = deep("1");
    after = deep("2");
  }
  const restream::Patches patches = restream::make_patches(before, after);
  CHECK(is_whole(patches.forward, after));
  CHECK(is_whole(patches.back, before));
  CHECK(*restream::apply_patch(before, patches.forward) == after);
  CHECK(*restream::apply_patch(after, patches.back) == before);
  CHECK(is_whole(make_patch(before, after), after));
}

TEST_CASE("A change in a long list is told as such, wherever it is") {
  std::string before = "[[";
  for (int i = 0; i < 100'000; ++i) before += "\"some element\",";
  before += "0,1]]";
  std::string after = before;
  after.replace(after.size() - 3, 1, "2,3");
  CHECK(make_patch(before, after) ==
        R"([{"op":"replace","path":"/0/100001","value":2},{"op":"add","path":"/0/100002","value":3}])");
  after = before;
  after.insert(2, "5,");
  CHECK(make_patch(before, after) == R"([{"op":"add","path":"/0/0","value":5}])");
}

TEST_CASE("A patch that does not fit is not applied") {
  for (const char* patch :
       {"", "{}", "[1]", R"([{"op":"remove","path":"/x"}])", R"([{"op":"replace","path":"/x/y","value":1}])",
        R"([{"op":"add","path":"/l/9","value":1}])", R"([{"op":"replace","path":"/l/1","value":1}])",
        R"([{"op":"add","path":"/a"}])", R"([{"op":"add","path":"/a/b","value":1}])"}) {
    INFO(patch);
    CHECK_FALSE(restream::apply_patch(R"({"a":1,"l":[1]})", patch));
  }
}

TEST_CASE("Items as deep as they may be are patched and put back") {
  const auto deep = [](const std::string& inside) {
    return std::string(restream::max_json_depth - 1, '[') + inside + std::string(restream::max_json_depth - 1, ']');
  };
  const std::string before = R"({"a":)" + deep("1") + "}";
  for (const std::string& after : {R"({"a":)" + deep("2") + "}", std::string("{}")}) {
    const restream::Patches patches = restream::make_patches(before, after);
    CHECK(*restream::apply_patch(before, patches.forward) == after);
    CHECK(*restream::apply_patch(after, patches.back) == before);
  }
}
