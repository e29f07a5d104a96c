#include "model/clock.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace restream {

Clock real_clock() {
  return Clock{.steady = [] { return std::chrono::steady_clock::now(); },
               .wall = [] { return std::chrono::system_clock::now(); }};
}

std::string rfc3339(WallTime time) {
  const auto millis = std::chrono::floor<Millis>(time.time_since_epoch());
  const auto seconds = std::chrono::floor<Seconds>(millis);
  const std::time_t stamp = seconds.count();
  std::tm parts{};
  gmtime_r(&stamp, &parts);
  std::array<char, 40> text{};
  const int size = std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                                 static_cast<int>((millis - seconds).count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string rfc3339_json(const std::optional<WallTime>& time) {
  return time ? '"' + rfc3339(*time) + '"' : std::string("null");
}

}  // namespace restream
