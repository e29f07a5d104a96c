#include "ops/service_manager.hpp"

#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <cstring>
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

std::expected<std::optional<int>, std::string> ServiceManager::passed_socket() {
  const int count = sd_listen_fds(1);
  if (count < 0) return std::unexpected("cannot take the sockets of the socket unit: " + std::string(strerror(-count)));
  if (count == 0) return std::nullopt;
  if (count > 1)
    return std::unexpected(
        "the socket unit hands over " + std::to_string(count) +
        " sockets, and one can be used; leave one ListenStream= in it (a port alone, such as 8080, is "
        "IPv4 and IPv6 together)");
  if (sd_is_socket_inet(SD_LISTEN_FDS_START, AF_UNSPEC, SOCK_STREAM, 1, 0) <= 0)
    return std::unexpected(
        "the socket unit hands over something that is no listening TCP socket; give it ListenStream= with an address "
        "and "
        "a port, and leave Accept= alone");
  return SD_LISTEN_FDS_START;
}

}  // namespace restream
