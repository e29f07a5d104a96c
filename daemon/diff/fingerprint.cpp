#include <xxhash.h>

#include "diff/diff.hpp"

namespace restream {

Fingerprint fingerprint_bytes(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return Fingerprint{.high = hash.high64, .low = hash.low64};
}

}  // namespace restream
