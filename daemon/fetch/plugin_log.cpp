#include "fetch/plugin_log.hpp"

#include <restream/fetcher.h>

#include <string_view>

namespace restream {
namespace {

LogLevel level_of(int level) {
  switch (level) {
    case RESTREAM_DEBUG:
      return LogLevel::debug;
    case RESTREAM_WARNING:
      return LogLevel::warning;
    case RESTREAM_ERROR:
      return LogLevel::error;
    default:
      return LogLevel::info;
  }
}

std::string_view source_text(LogSource source) {
  switch (source) {
    case LogSource::plugin:
      return "plugin";
    case LogSource::standard_output:
      return "stdout";
    case LogSource::standard_error:
      return "stderr";
  }
  return "";
}

}  // namespace

void log_line(const Log& log, const std::string& plugin, LogSource source, int level, const std::string& poll,
              const std::string& line) {
  const std::string from(source_text(source));
  if (poll.empty()) return log.write(level_of(level), line, {{"plugin", plugin}, {"source", from}});
  log.write(level_of(level), line, {{"plugin", plugin}, {"source", from}, {"poll", poll}});
}

void log_uncounted(const Log& log, const std::string& plugin, int pid) {
  log.warning(
      "the threads of a plugin's process cannot be counted, so nothing stops it from starting too many: restreamd must "
      "see its processes in /proc. Remove ProtectProc= from its systemd unit, or hidepid= from the mount of /proc",
      {{"plugin", plugin}, {"pid", std::to_string(pid)}});
}

}  // namespace restream
