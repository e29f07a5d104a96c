// What systemd is told of this process: ready, one line of status, alive, stopping. Says nothing where nobody listens
// (no NOTIFY_SOCKET). Any thread. And the listening socket that it may hand over.
#pragma once

#include <expected>
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

  // The socket that a socket unit listens on for us; nothing when there is none. The error is a sentence. Once, before
  // there are threads: it takes the variables that say so out of the environment. The descriptor is the caller's.
  static std::expected<std::optional<int>, std::string> passed_socket();
};

}  // namespace restream
