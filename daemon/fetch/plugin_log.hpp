// What the daemon's log says of a plugin's process. Runs on: core.
#pragma once

#include <string>

#include "fetch/host_process.hpp"
#include "ops/log.hpp"

namespace restream {

// A line of the plugin's own; `poll`: during which, empty where that is not known.
void log_line(const Log& log, const std::string& plugin, LogSource source, int level, const std::string& poll,
              const std::string& line);

// Its threads cannot be counted.
void log_uncounted(const Log& log, const std::string& plugin, int pid);

}  // namespace restream
