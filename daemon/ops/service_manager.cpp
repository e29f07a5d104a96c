#include "ops/service_manager.hpp"

#include <systemd/sd-daemon.h>

#include <ctime>

namespace restream {

namespace {

// A line end would begin another variable.
std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\r') c = ' ';
  return text;
}

void tell(const std::string& state) { sd_notify(0, state.c_str()); }

}  // namespace

void ServiceManager::ready(const std::string& status) const { tell("READY=1\nSTATUS=" + one_line(status)); }

void ServiceManager::status(const std::string& status) const { tell("STATUS=" + one_line(status)); }

void ServiceManager::reloading() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.tv_sec * 1'000'000 + now.tv_nsec / 1'000));
}

void ServiceManager::stopping(const std::string& status) const { tell("STOPPING=1\nSTATUS=" + one_line(status)); }

std::optional<Millis> ServiceManager::alive_every() const {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return std::chrono::duration_cast<Millis>(std::chrono::microseconds(microseconds)) / 2;
}

void ServiceManager::alive() const { tell("WATCHDOG=1"); }

}  // namespace restream
