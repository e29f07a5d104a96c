// A 128-bit hash of content: equal content has equal fingerprints; different content has different ones, but for
// chance.
#pragma once

#include <cstdint>

namespace restream {

struct Fingerprint {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

}  // namespace restream
