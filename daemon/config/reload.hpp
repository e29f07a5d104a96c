// What a running daemon can take over of a configuration that has changed, and what needs a restart. Pure.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace restream {

// The keys, such as "listen.port", that differ and that only a restart applies.
std::vector<std::string> keys_for_restart(const Config& running, const Config& next);

// `next`, with those keys as they are in `running`.
Config without_restart(const Config& running, Config next);

}  // namespace restream
