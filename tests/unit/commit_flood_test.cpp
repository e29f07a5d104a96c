// An API that chooses its ids so that a hash without a secret is the same for all of them.
#include <algorithm>
#include <ctime>
#include <functional>
#include <random>

#include "channel/frame.hpp"
#include "commit_support.hpp"

using namespace commit_support;

namespace {

constexpr std::size_t units = 13;  // 2^13 ids

// Eight characters of ASCII; JSON has control characters as escapes.
bool is_text(std::uint64_t word) {
  const std::string_view bytes(reinterpret_cast<const char*>(&word), sizeof word);
  return std::ranges::all_of(bytes, [](char byte) { return byte > 0; });
}

std::uint64_t random_text(std::mt19937_64& random) {
  for (;;)
    if (const std::uint64_t word = random() & 0x7f7f7f7f7f7f7f7fU; is_text(word)) return word;
}

std::string text_of(std::uint64_t word) { return {reinterpret_cast<const char*>(&word), sizeof word}; }

// Two texts of 16 bytes that change the state of MurmurHash64A, which std::hash is, in the same way, whatever it was:
// their first halves differ in the highest bit of what is mixed in, which multiplying by an odd number keeps, and the
// second halves take that back.
std::pair<std::string, std::string> interchangeable() {
  constexpr std::uint64_t factor = 0xc6a4a7935bd1e995U;
  std::uint64_t inverse = factor;
  for (int i = 0; i < 6; ++i) inverse *= 2 - factor * inverse;
  constexpr std::uint64_t flips = 1ULL << 63U | 1ULL << 16U;  // the highest bit, after v ^ v >> 47
  std::mt19937_64 random(1);
  for (;;) {
    const std::uint64_t one = random_text(random);
    const std::uint64_t other = ((one * factor) ^ flips) * inverse;
    if (is_text(other)) return {text_of(one) + text_of(one), text_of(other) + text_of(other)};
  }
}

std::vector<std::string> ids_of(const std::function<std::string(std::size_t unit, bool second)>& unit) {
  std::vector<std::string> ids;
  for (std::size_t number = 0; number < 1U << units; ++number) {
    std::string id;
    for (std::size_t i = 0; i < units; ++i) id += unit(i, (number >> i & 1U) != 0);
    ids.push_back(std::move(id));
  }
  return ids;
}

std::string list_of(const std::vector<std::string>& ids, int n) {
  std::string items;
  for (const std::string& id : ids)
    items +=
        (items.empty() ? "" : ",") + std::string(R"({"id":)") + json_string(id) + R"(,"n":)" + std::to_string(n) + "}";
  return items;
}

// CPU time of polls in which all come, all change, half leave and all come back.
std::clock_t cost_of(std::vector<std::string> ids) {
  Bench bench;
  const std::clock_t begin = std::clock();
  REQUIRE(bench.tell(list_of(ids, 1)).size() == ids.size());
  REQUIRE(bench.tell(list_of(ids, 2)).size() == ids.size());
  const std::vector<std::string> all = ids;
  ids.resize(ids.size() / 2);
  REQUIRE(bench.tell(list_of(ids, 2)).empty());
  REQUIRE(bench.tell(list_of(all, 2)).empty());
  return std::clock() - begin;
}

}  // namespace

TEST_CASE("ids that all have one std::hash cost what others cost") {
  const auto [one, other] = interchangeable();
  const std::vector<std::string> chosen = ids_of([&](std::size_t, bool second) { return second ? other : one; });
  REQUIRE(std::hash<std::string>()(chosen.front()) == std::hash<std::string>()(chosen.back()));
  std::mt19937_64 random(2);
  std::vector<std::pair<std::string, std::string>> pairs(units);
  for (auto& [first, second] : pairs) {
    first = text_of(random_text(random)) + text_of(random_text(random));
    second = text_of(random_text(random)) + text_of(random_text(random));
  }
  const std::vector<std::string> ordinary =
      ids_of([&](std::size_t unit, bool second) { return second ? pairs[unit].second : pairs[unit].first; });

  const std::clock_t usual = cost_of(ordinary);
  const std::clock_t cost = cost_of(chosen);
  INFO(cost << " instead of " << usual);
  CHECK(cost < 4 * usual);
}
