#include "model/text_hash.hpp"

#include <xxhash.h>

#include <cstdint>
#include <random>

namespace restream {

namespace {

std::uint64_t make_secret() {
  std::random_device random;
  return (std::uint64_t{random()} << 32U) | random();
}

}  // namespace

std::size_t TextHash::operator()(std::string_view text) const {
  static const std::uint64_t secret = make_secret();
  return XXH3_64bits_withSeed(text.data(), text.size(), secret);
}

}  // namespace restream
