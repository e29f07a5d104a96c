// What the daemon remembers of the newest keystore it has read, so that an older one put in its place is noticed. Pure;
// any thread.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "keys/crypto.hpp"
#include "keys/format.hpp"

namespace restream {

struct Seen {
  keys::StoreId id{};
  std::uint64_t gen = 0;
  keys::Sha256 sha256{};  // of the whole file

  bool operator==(const Seen&) const = default;
};

// Four lines of text. Nothing but what print_seen() prints is read.
std::string print_seen(const Seen& seen);
std::optional<Seen> parse_seen(std::string_view text);

// Why `now` cannot be a successor of `before`; empty when it can, or is the same file.
std::string rollback_reason(const Seen& before, const Seen& now);

}  // namespace restream
