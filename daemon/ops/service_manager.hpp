// What systemd is told of this process: ready, one line of status, alive, stopping. Says nothing where nobody listens
// (no NOTIFY_SOCKET). Any thread.
#pragma once

#include <optional>
#include <string>

#include "model/clock.hpp"

namespace restream {

class ServiceManager {
 public:
  void ready(const std::string& status) const;
  // One line for `systemctl status`.
  void status(const std::string& status) const;
  // Between the two, systemd waits for the reload to end.
  void reloading() const;
  void reloaded(const std::string& status) const { ready(status); }
  void stopping(const std::string& status) const;

  // How often alive() must be called, so that the watchdog is content twice over; nothing when there is no watchdog.
  [[nodiscard]] std::optional<Millis> alive_every() const;
  void alive() const;
};

}  // namespace restream
