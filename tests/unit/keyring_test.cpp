// What the daemon remembers of the keystore, and what it refuses for it.
#include <catch2/catch.hpp>

#include "keyring/seen.hpp"

using namespace restream;

namespace {

Seen some(std::uint64_t gen, std::uint8_t hash = 7) {
  Seen seen;
  seen.id.fill(1);
  seen.gen = gen;
  seen.sha256.fill(hash);
  return seen;
}

}  // namespace

TEST_CASE("what is remembered is read back, and only exactly as it was written") {
  const Seen seen = some(18446744073709551615U);
  const std::string text = print_seen(seen);
  REQUIRE(parse_seen(text) == seen);
  for (std::size_t cut = 0; cut < text.size(); ++cut) CHECK_FALSE(parse_seen(text.substr(0, cut)));
  for (std::size_t at = 0; at < text.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string altered = text;
      altered[at] = static_cast<char>(altered[at] ^ (1 << bit));
      const auto read = parse_seen(altered);
      if (read) CHECK_FALSE(*read == seen);  // another number is another number, never the same one spelt otherwise
    }
  CHECK_FALSE(parse_seen(text + "\n"));
  CHECK_FALSE(parse_seen(print_seen(some(1)).replace(print_seen(some(1)).find("gen 1"), 5, "gen 01")));
}

TEST_CASE("newer generations follow, older ones, other ones and altered ones do not") {
  CHECK(rollback_reason(some(5), some(5)).empty());
  CHECK(rollback_reason(some(5), some(6, 9)).empty());
  CHECK(rollback_reason(some(5), some(500, 9)).empty());
  CHECK_THAT(rollback_reason(some(5), some(4)), Catch::Contains("older (generation 4)"));
  CHECK_THAT(rollback_reason(some(5), some(5, 9)), Catch::Contains("same generation 5"));
  Seen other = some(6);
  other.id.fill(2);
  CHECK_THAT(rollback_reason(some(5), other), Catch::Contains("another keystore"));
}
