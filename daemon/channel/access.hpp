// Which channels a visitor may see. Pure; shared by the serve threads, which know who came, and core, which knows the
// channels' ids.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace restream {

// Globs over channel ids: '*' is any text (also '?', '=', '&'), everything else stands for itself.
struct ChannelGlobs {
  std::vector<std::string> globs;
  [[nodiscard]] bool match(std::string_view id) const;
  // Whether the fetcher may have a channel that matches.
  [[nodiscard]] bool may_match_fetcher(std::string_view fetcher) const;
};

// Null: everything may be seen.
using Access = std::shared_ptr<const ChannelGlobs>;
inline bool may_see(const Access& access, std::string_view id) { return !access || access->match(id); }
inline bool may_see_fetcher(const Access& access, std::string_view fetcher) {
  return !access || access->may_match_fetcher(fetcher);
}

// Who asks.
struct Visitor {
  std::string address;  // counts against limits
  Access access;
};

}  // namespace restream
