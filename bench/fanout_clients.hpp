// The other end of the fan-out benchmark: a process with many WebSocket subscribers that read and count, no more. In a
// process of its own, so that its CPU time is not the server's.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace bench {

// Shared memory between the two processes.
struct Tally {
  std::atomic<std::uint64_t> subscribed{0};  // subscribers that wait for live events now
  std::atomic<std::uint64_t> bytes{0};       // read after that
  std::atomic<bool> failed{false};
  std::atomic<unsigned> heartbeats{0};  // asked for
};

// Keeps the calling thread, and what it starts, on one CPU (if there are several): the server on the first, the
// subscribers on the second, so that neither takes the other's time in one round and not in the next.
void run_on(unsigned cpu);

// How a subscriber becomes one.
struct Subscribing {
  std::string request;       // the head of the request
  std::string message;       // sent as a WebSocket's message once `ready` has come; empty: none
  std::string last;          // ends what comes before live events
  std::size_t channels = 1;  // the subscriber's number modulo this stands in the place of ##### in both
  bool tls = false;
  bool yields = false;  // the CPU, to those who are subscribed already: their waiting for it would not be the server's
};
Subscribing websocket(const std::string& path, const std::string& message, const std::string& extension = {});
Subscribing event_stream(const std::string& path);

// A self-signed certificate with its key, in a file there. Runs openssl.
std::string make_certificate(const std::string& directory);

// Forks; call before any thread is started. The child connects once `port` is written to the pipe it waits on.
class Clients {
 public:
  Clients(std::size_t count, const Subscribing& how);
  ~Clients();  // ends the child
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  void connect(std::uint16_t port);
  // Each subscriber of a WebSocket sends a pong: who says nothing for a minute is taken to be gone.
  void send_heartbeats() { ++tally_->heartbeats; }
  [[nodiscard]] const Tally& tally() const { return *tally_; }

 private:
  Tally* tally_ = nullptr;
  pid_t child_ = -1;
  int pipe_ = -1;
};

}  // namespace bench
