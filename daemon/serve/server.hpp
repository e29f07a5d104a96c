// The serve threads: listener, HTTP, WebSocket. Owns N threads, each with its own io_context and its own sessions; a
// session never leaves its thread, so nothing here is locked. Knows channels by Feed only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channel/feed.hpp"
#include "model/clock.hpp"
#include "model/token.hpp"
#include "ops/log.hpp"

namespace restream {

class TlsContext;

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;  // 0 picks a free one
  unsigned threads = 1;
  std::vector<std::string> trusted_proxies;  // addresses and networks
  std::vector<std::string> origins;          // browser origins besides our own; "*" for any
  bool compression = false;                  // permessage-deflate, for clients that offer it
  std::size_t connections = 20000;
  std::size_t connections_per_address = 1000;
  std::size_t subscriptions_per_connection = 100;
  std::size_t message_size = 64U << 10U;
  std::size_t send_queue = 1U << 20U;
  std::string version;
};

class Server {
 public:
  Server(ServerOptions options, Clock clock, Log log);
  ~Server();  // closes everything at once, joins
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // What core must know to reach the threads; the place in the vector is the ServeNumber. Before start().
  [[nodiscard]] std::vector<ServeThread> threads();

  // From now on everything but health needs one of these tokens; connections whose token is gone or changed are closed.
  // Before start() or after it, from any thread.
  void set_tokens(std::vector<TokenEntry> tokens);
  void ask_no_tokens();

  // For what is asked from now on; open connections stay, though there be more of them than a new limit allows.
  // Address, port and number of threads stay as they are. After start(), from any thread.
  void set_options(ServerOptions options);

  // Connections that come from now on speak TLS with this certificate; null: plain. Before start() or after it, from
  // any thread.
  void set_tls(std::shared_ptr<const TlsContext> tls);

  // Binds, listens, starts the threads. `feed` must outlive the server. With `listening` that socket is taken, whatever
  // the options say of address and port, and is the server's from here on. The error is a sentence.
  std::expected<void, std::string> start(Feed feed, std::optional<int> listening = {});

  // After start().
  [[nodiscard]] std::string address() const;
  [[nodiscard]] std::uint16_t port() const;

  // The sums of what the threads have counted so far.
  struct Totals {
    std::uint64_t connections = 0;
    std::array<std::uint64_t, framings> followers{};
    std::uint64_t deliveries = 0;
    std::uint64_t sent_bytes = 0;
    std::uint64_t queued_bytes = 0;
    std::uint64_t slow_disconnects = 0;
    std::array<std::uint64_t, 5> responses{};  // by status class, 1xx first
  };
  [[nodiscard]] Totals totals() const;

  // New requests get 503; WebSockets are closed with 1001, spread over `over`; `done` (on a serve thread) when the last
  // one is gone.
  void drain(Millis over, const std::function<void()>& done);

 private:
  // Does it on each thread, or at once when they do not run yet.
  template <typename Job>
  void on_each(const Job& job);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace restream
