// Time as values. Everything that needs to know the time is handed a Clock; tests hand in one they move.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace restream {

using SteadyTime = std::chrono::steady_clock::time_point;  // for deadlines and schedules: never jumps
using WallTime = std::chrono::system_clock::time_point;    // for what people read and what is kept on disk
using Millis = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;

// Both functions may be called from any thread.
struct Clock {
  std::function<SteadyTime()> steady;
  std::function<WallTime()> wall;
};

Clock real_clock();

// "2026-03-01T12:00:00.123Z": UTC, milliseconds.
std::string rfc3339(WallTime time);

// A JSON string of the above, or `null`.
std::string rfc3339_json(const std::optional<WallTime>& time);

}  // namespace restream
