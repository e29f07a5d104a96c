// Which calls of one plugin may be under way at once, so that APIs that hang keep those waiting that hang too, and not
// those that answer. A plugin's own. Runs on: core.
#pragma once

#include <array>
#include <cstddef>
#include <unordered_map>

#include "fetch/plugin.hpp"

namespace restream {

class CallPlaces {
 public:
  // Below the number of threads of a host, whose own queue would let a call's deadline run before it starts.
  static constexpr std::size_t most = 120;
  // Of one fetcher's. Trust is what was, and lets all channels of an API through that begins to hang just now: without
  // this they would take every place there is, and the plugin's other fetchers wait for their deadlines.
  static constexpr std::size_t most_of_one = 80;

  // A fetcher is known by its rules; null is nobody's, and only the sum counts.
  using Owner = const void*;

  [[nodiscard]] bool has(Owner owner, CallTrust trust) const;
  void take(Owner owner, CallTrust trust);
  void give_back(Owner owner, CallTrust trust);

 private:
  std::array<std::size_t, 3> trusted_{};  // under way, by trust
  std::unordered_map<Owner, std::size_t> owners_;
};

}  // namespace restream
