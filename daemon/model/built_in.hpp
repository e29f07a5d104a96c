// The fetcher that is part of the daemon: its items are the daemon's own state.
#pragma once

#include <string_view>

namespace restream {

inline constexpr std::string_view built_in_fetcher = "restream-status";

}  // namespace restream
