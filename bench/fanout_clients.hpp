// The other end of the fan-out benchmark: a process with many WebSocket subscribers that read and count, no more. In a
// process of its own, so that its CPU time is not the server's.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

// Shared memory between the two processes.
struct Tally {
  std::atomic<std::uint64_t> subscribed{0};  // subscribers that wait for live events now
  std::atomic<std::uint64_t> bytes{0};       // read after that
  std::atomic<std::uint64_t> goal{0};        // of `bytes`: tell when they are read; 0: none
  std::atomic<std::int64_t> reached{0};      // when they were, in nanoseconds of CLOCK_MONOTONIC
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

// A masked text frame with a mask of zeros, which leaves the payload as it is.
std::string client_frame(const std::string& payload);

// A sign of life.
inline constexpr std::string_view masked_pong{"\x8a\x80\0\0\0\0", 6};

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
  // Sleeps until all of them together have read so many bytes; when that was. Does not look meanwhile: whoever wakes up
  // to look is in the way of whoever sends. Throws after a minute.
  std::chrono::steady_clock::time_point wait_for(std::uint64_t bytes);

 private:
  Tally* tally_ = nullptr;
  pid_t child_ = -1;
  int pipe_ = -1;
  int reached_ = -1;  // an eventfd
};

}  // namespace bench
