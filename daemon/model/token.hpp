// A token as the operator lists it: who may come in, to which channels, until when. The token itself is not here, only
// its SHA-256.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/clock.hpp"

namespace restream {

using Sha256 = std::array<std::uint8_t, 32>;

struct TokenEntry {
  std::string name;  // for the operator and the log
  Sha256 sha256{};
  std::vector<std::string> channels = {"*"};  // globs over channel ids: '*' is any text, the rest stands for itself
  std::optional<WallTime> expires;            // nothing: never
  friend bool operator==(const TokenEntry&, const TokenEntry&) = default;
};

}  // namespace restream
