// One serve thread: its io_context, its sessions, the channels they follow. Runs on: serve.
//
// Everything in here belongs to its thread. Core reaches it by post() alone. Posts keep the io_context alive, not the
// Loop: one that comes after the end is never run.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "channel/feed.hpp"
#include "model/clock.hpp"
#include "ops/log.hpp"
#include "serve/channel_table.hpp"
#include "serve/gates.hpp"
#include "serve/limits.hpp"
#include "serve/net.hpp"
#include "serve/origin.hpp"
#include "serve/proxies.hpp"
#include "serve/server.hpp"
#include "serve/session.hpp"
#include "serve/stats.hpp"
#include "serve/tokens.hpp"

namespace restream {

// What the configuration says of serving, ready for use; immutable once shared.
struct ServeRules {
  explicit ServeRules(ServerOptions given)
      : options(std::move(given)), origins(options.origins), proxies(options.trusted_proxies) {}
  ServerOptions options;
  OriginRule origins;
  Proxies proxies;
};

// What all threads share; constant once they run.
struct ServeContext {
  Clock clock;
  Log log;
  Feed feed;
  std::unique_ptr<Tickets> tickets = std::make_unique<Tickets>();
};

class Loop {
 public:
  Loop(const ServeContext& context, std::shared_ptr<const ServeRules> rules, ServeNumber number);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // What core calls. May be copied and called on any thread, also after the Loop's end.
  [[nodiscard]] ServeThread entrance();
  // Wraps a reply so that it runs on this thread.
  template <typename Value>
  std::function<void(Value)> on_loop(std::function<void(const Value&)> reply) {
    return [io = io_, reply = std::move(reply)](Value value) {
      asio::post(*io, [reply, value = std::move(value)] { reply(value); });
    };
  }
  void post(std::move_only_function<void()> job) { asio::post(*io_, std::move(job)); }

  // Blocks until stop().
  void run();
  // Ends everything that is left, on the calling thread; after run() has returned.
  void finish();
  // From any thread.
  void stop() { io_->stop(); }

  [[nodiscard]] const ServerOptions& options() const { return rules_->options; }
  [[nodiscard]] const Feed& feed() const { return context_.feed; }
  [[nodiscard]] const Log& log() const { return context_.log; }
  [[nodiscard]] const OriginRule& origins() const { return rules_->origins; }
  [[nodiscard]] const Proxies& proxies() const { return rules_->proxies; }
  [[nodiscard]] const Clock& clock() const { return context_.clock; }
  // For what is asked from now on.
  void set_rules(std::shared_ptr<const ServeRules> rules) { rules_ = std::move(rules); }
  // For the connections that come from now on; null: they are plain.
  void set_tls(std::shared_ptr<const TlsContext> tls) { tls_ = std::move(tls); }
  // Null: nobody is asked for a token.
  [[nodiscard]] const std::shared_ptr<const Tokens>& tokens() const { return tokens_; }
  [[nodiscard]] std::uint64_t tokens_generation() const { return tokens_generation_; }  // counts set_tokens()
  void set_tokens(std::shared_ptr<const Tokens> tokens) {
    tokens_ = std::move(tokens);
    ++tokens_generation_;
  }
  [[nodiscard]] Tickets& tickets() const { return *context_.tickets; }
  [[nodiscard]] ServeNumber number() const { return number_; }
  [[nodiscard]] asio::io_context& io() { return *io_; }
  [[nodiscard]] ChannelTable& channels() { return channels_; }
  [[nodiscard]] Gates& gates() { return gates_; }
  [[nodiscard]] ServeStats& stats() { return stats_; }
  // As of the last tick, a quarter of a second ago at most: for what need not be exact.
  [[nodiscard]] SteadyTime now() const { return now_; }

  // A socket that was accepted for this thread.
  void adopt(Socket socket, std::string address, ConnectionSlot slot);
  void add(std::shared_ptr<Session> session);
  void remove(const Session* session);

  // New requests get 503 from now on; lasting sessions are told to go, one after the other within `over`. `done` is
  // called when the last one is gone.
  void drain(Millis over, std::function<void()> done);
  [[nodiscard]] bool draining() const { return static_cast<bool>(drain_); }

 private:
  struct Drain {
    SteadyTime start;
    Millis over{};
    std::size_t total = 0;
    std::function<void()> done;
  };
  void wait_tick();
  void tick();
  [[nodiscard]] static std::size_t group_of(const Session* session);
  [[nodiscard]] std::vector<std::shared_ptr<Session>> all_sessions() const;
  void drain_step();

  const ServeContext& context_;
  std::shared_ptr<const ServeRules> rules_;
  const ServeNumber number_;
  std::shared_ptr<asio::io_context> io_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      timer_;
  std::shared_ptr<const TlsContext> tls_;
  std::shared_ptr<const Tokens> tokens_;
  std::uint64_t tokens_generation_ = 0;
  Gates gates_;
  ChannelTable channels_;
  ServeStats stats_;
  // In groups that are ticked in turns, each once a second: a tick touches memory that has left the caches, of sessions
  // of which nearly all have nothing to do.
  std::array<std::unordered_map<const Session*, std::shared_ptr<Session>>, 4> sessions_;
  std::size_t turn_ = 0;
  std::optional<Drain> drain_;
  SteadyTime now_;
};

}  // namespace restream
