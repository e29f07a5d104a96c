// One accepted socket with its outbox: what the HTTP and the WebSocket session of a connection have in common.
// Runs on: serve.
//
// How it ends, so that the peer reads our last bytes: flush, half-close, read and drop what still comes until the peer
// closes too or a few seconds are over, then close. (Closing with unread input makes the kernel send a reset, and a
// reset throws away what the peer has not read yet.)
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "model/clock.hpp"
#include "serve/gates.hpp"
#include "serve/limits.hpp"
#include "serve/net.hpp"
#include "serve/outbox.hpp"
#include "serve/tls.hpp"

namespace restream {

class Loop;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Fed again, read from again, once less than this is queued.
  static constexpr std::size_t low_water = 64U << 10U;
  // The peer's frames are not read, and control frames not answered, while more than this is queued.
  static constexpr std::size_t high_water = 256U << 10U;

  // `tls`: null for a plain connection.
  Connection(Loop& loop, Socket socket, std::unique_ptr<TlsStream> tls, std::string peer, ConnectionSlot slot);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The session sets these; they hold it weakly.
  std::function<void()> on_room;    // less than low_water is queued again
  std::function<void()> on_closed;  // the socket is closed; called once, never from within another call

  [[nodiscard]] Loop& loop() const { return loop_; }
  [[nodiscard]] Socket& socket() { return socket_; }
  // Who connected, and who is behind it if that is a proxy: the latter counts against limits.
  [[nodiscard]] const std::string& peer() const { return peer_; }
  [[nodiscard]] const std::string& address() const { return address_; }
  void set_address(const std::string& address);
  [[nodiscard]] bool refused() const { return slot_.refused(); }
  [[nodiscard]] bool tls() const { return tls_ != nullptr; }
  // Nothing can be sent yet.
  [[nodiscard]] bool shaking_hands() const { return tls_ && !tls_->open(); }
  // The client spoke HTTP without TLS where TLS is spoken; it can be answered in kind.
  [[nodiscard]] bool plain_on_tls() const { return plain_on_tls_; }
  [[nodiscard]] const Outbox& outbox() const { return outbox_; }
  [[nodiscard]] Gates::Number gate() const { return gate_; }

  // Calls `done` with what came, once something has; never from within. The bytes are there until it returns: they are
  // in the thread's one buffer, so that a connection that waits holds none.
  using Received = std::move_only_function<void(const ErrorCode&, std::string_view)>;
  void read(Received done);

  // Nothing is sent after send_last(): its bytes hold the close frame, or the answer that ends the connection.
  // Of `bytes` those from `from` on: the ones before went to the socket by the gate.
  void send(const Frames& bytes, Outbox::Kind kind = Outbox::Kind::other, std::size_t from = 0);
  void send_last(const Frames& bytes, bool bounded);
  // Calls `go_on` once there is room for more control frames: at once, if there is.
  void when_room(std::move_only_function<void()> go_on);

  // Half-closes once everything is flushed. The session goes on reading, until the peer closes or time is up: a few
  // seconds from the flush. Before it, as long as the peer takes what is queued; when `bounded`, for a minute at most,
  // or a few seconds once the server is going away.
  void end(bool bounded);
  // As end(), and reads from now on, dropping what comes. The session must not be reading.
  void drain_and_close(bool bounded);
  // Closes at once.
  void abort();

  [[nodiscard]] bool ending() const { return ending_; }
  [[nodiscard]] bool closed() const { return closed_; }
  // Bytes have been queued for too long without the peer taking one.
  [[nodiscard]] bool stalled(SteadyTime now) const;
  void tick(SteadyTime now);

 private:
  void read_when(Socket::wait_type ready, Received done);
  void read_now(Received done);
  void watch_peer(SteadyTime now);
  void set_gate();
  void after_send();
  void count();
  void wait_writable();
  void on_writable(const ErrorCode& error);
  void shut_down_if_flushed();
  void drain();

  Loop& loop_;
  Socket socket_;
  std::unique_ptr<TlsStream> tls_;
  const std::string peer_;
  std::string address_;
  ConnectionSlot slot_;
  const Gates::Number gate_;
  Outbox outbox_;
  std::move_only_function<void()> held_;
  std::uint64_t counted_sent_ = 0;  // of these the thread's statistics know
  std::size_t counted_queued_ = 0;
  SteadyTime progress_;  // when the kernel or the peer last took a byte, while bytes are queued
  int in_kernel_ = 0;    // bytes that the peer had not acknowledged at the last tick
  SteadyTime deadline_ = SteadyTime::max();
  bool plain_on_tls_ = false;
  bool waiting_ = false;
  bool ending_ = false;
  bool bounded_ = false;
  bool shut_down_ = false;
  bool draining_ = false;
  bool peer_done_ = false;
  bool closed_ = false;
};

}  // namespace restream
