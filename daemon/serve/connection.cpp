#include "serve/connection.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

#include "serve/loop.hpp"

namespace restream {

namespace {

constexpr Seconds stall_limit{10};
// The server has 10 s to end in, and spreads its goodbyes over 5 of them.
constexpr Seconds linger{3};
// What is queued is some MiB at most; one who takes longer for it keeps us busy on purpose.
constexpr Seconds patience{60};

}  // namespace

Connection::Connection(Loop& loop, Socket socket, std::unique_ptr<TlsStream> tls, std::string peer, ConnectionSlot slot)
    : loop_(loop),
      socket_(std::move(socket)),
      tls_(std::move(tls)),
      peer_(std::move(peer)),
      address_(peer_),
      slot_(std::move(slot)),
      gate_(loop.gates().take()),
      outbox_(socket_.native_handle()) {
  outbox_.use(tls_.get());
  set_gate();
  loop_.stats().connections.add();
}

Connection::~Connection() {
  outbox_.drop();
  count();
  loop_.stats().connections.subtract(1);
  loop_.gates().give_back(gate_);
}

// Whenever something changes of what it says.
void Connection::set_gate() {
  const bool open = !tls_ && !ending_ && !closed_ && !outbox_.broken() && outbox_.queued() == 0;
  loop_.gates().set(gate_, open ? outbox_.descriptor() : Gates::shut);
}

// After whatever changed the outbox.
void Connection::count() {
  set_gate();
  ServeStats& stats = loop_.stats();
  stats.sent_bytes.add(outbox_.sent() - std::exchange(counted_sent_, outbox_.sent()));
  if (outbox_.queued() == counted_queued_) return;
  // A smaller number than before wraps round, and so does the sum: it comes out right.
  stats.queued_bytes.add(outbox_.queued() - std::exchange(counted_queued_, outbox_.queued()));
}

void Connection::set_address(const std::string& address) {
  address_ = address;
  slot_.move_to(address);
}

void Connection::read(Received done) {
  if (!tls_) return read_when(Socket::wait_read, std::move(done));
  // TLS may hold bytes of which the socket knows nothing any more.
  asio::post(socket_.get_executor(),
             [self = shared_from_this(), done = std::move(done)]() mutable { self->read_now(std::move(done)); });
}

void Connection::read_when(Socket::wait_type ready, Received done) {
  socket_.async_wait(ready, [self = shared_from_this(), done = std::move(done)](const ErrorCode& error) mutable {
    if (error) return done(error, {});
    self->read_now(std::move(done));
  });
}

void Connection::read_now(Received done) {
  static thread_local std::array<char, 16384> buffer;
  // A closed socket's number may be another connection's by now.
  if (closed_) return done(asio::error::operation_aborted, {});
  TlsStream::Read got;
  if (tls_) {
    got = tls_->read(buffer.data(), buffer.size());
  } else {
    const ssize_t size = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    const bool nothing_yet = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (size == 0) got.state = TlsStream::State::ended;
    if (size < 0) got.state = nothing_yet ? TlsStream::State::wants_read : TlsStream::State::failed;
    got.size = size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  switch (got.state) {
    case TlsStream::State::done:
      return done({}, {buffer.data(), got.size});
    case TlsStream::State::wants_read:
      return read_when(Socket::wait_read, std::move(done));
    case TlsStream::State::wants_write:
      return read_when(Socket::wait_write, std::move(done));
    case TlsStream::State::ended:
      return done(asio::error::eof, {});
    case TlsStream::State::plain:
      plain_on_tls_ = true;
      outbox_.use(nullptr);
      tls_.reset();
      [[fallthrough]];
    case TlsStream::State::failed:
      return done(asio::error::connection_aborted, {});
  }
}

void Connection::send(const Frames& bytes, Outbox::Kind kind, std::size_t from) {
  if (ending_ || closed_) return;
  if (outbox_.queued() == 0) progress_ = loop_.now();
  outbox_.send(bytes, kind, from);
  after_send();
}

void Connection::send_last(const Frames& bytes, bool bounded) {
  send(bytes);
  end(bounded);
}

void Connection::when_room(std::move_only_function<void()> go_on) {
  if (outbox_.queued() <= high_water || closed_)
    go_on();
  else
    held_ = std::move(go_on);
}

void Connection::after_send() {
  count();
  if (outbox_.broken()) {
    // Not now: the caller may be in the middle of a list that this would change.
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->abort(); });
  } else if (outbox_.queued() > 0) {
    wait_writable();
  }
}

void Connection::wait_writable() {
  if (waiting_ || closed_) return;
  waiting_ = true;
  socket_.async_wait(Socket::wait_write,
                     [self = shared_from_this()](const ErrorCode& error) { self->on_writable(error); });
}

void Connection::on_writable(const ErrorCode& error) {
  waiting_ = false;
  if (closed_) return;
  if (error) return abort();
  if (outbox_.flush() > 0) progress_ = loop_.now();
  count();
  if (outbox_.broken()) return abort();
  if (outbox_.queued() > 0) wait_writable();
  shut_down_if_flushed();
  if (outbox_.queued() >= low_water) return;
  if (held_) std::exchange(held_, nullptr)();
  // A copy: the session may be replaced by the one it hands the connection to.
  if (const std::function<void()> call = on_room; call) call();
}

void Connection::end(bool bounded) {
  if (closed_) return;
  // Not as of the last tick: after a busy moment that would be time taken from the peer.
  const SteadyTime now = loop_.clock().steady();
  // One that took no byte for long is waited for once more, so that it can read why it has to go.
  if (!ending_) progress_ = now;
  ending_ = true;
  set_gate();
  if (bounded) deadline_ = std::min(deadline_, now + (loop_.draining() ? linger : patience));
  bounded_ = bounded_ || bounded;
  shut_down_if_flushed();
}

void Connection::shut_down_if_flushed() {
  if (!ending_ || shut_down_ || closed_ || outbox_.queued() > 0) return;
  if (peer_done_) return abort();
  shut_down_ = true;
  deadline_ = std::min(deadline_, loop_.clock().steady() + linger);
  if (tls_) tls_->close_notify();
  ErrorCode ignored;  // the peer may be gone already
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Connection::drain_and_close(bool bounded) {
  end(bounded);
  if (closed_ || draining_) return;
  draining_ = true;
  if (held_) std::exchange(held_, nullptr)();
  drain();
}

void Connection::drain() {
  // One buffer for all: nobody looks at what it holds.
  static thread_local std::array<char, 16384> waste;
  socket_.async_read_some(asio::buffer(waste), [self = shared_from_this()](const ErrorCode& error, std::size_t) {
    if (self->closed_) return;
    if (!error) return self->drain();
    // The peer may have only half-closed, and still be reading what is queued.
    self->peer_done_ = true;
    if (self->outbox_.queued() == 0 || error != asio::error::eof) self->abort();
  });
}

void Connection::abort() {
  if (closed_) return;
  closed_ = true;
  ending_ = true;
  ErrorCode ignored;
  socket_.close(ignored);
  outbox_.drop();
  count();
  if (held_) std::exchange(held_, nullptr)();
  on_room = nullptr;
  if (on_closed) asio::post(socket_.get_executor(), std::exchange(on_closed, nullptr));
}

bool Connection::stalled(SteadyTime now) const { return outbox_.queued() > 0 && now - progress_ >= stall_limit; }

// The kernel asks for more only when a good part of what it has is gone. One who reads a little at a time takes longer
// than stall_limit for that, but what is not acknowledged yet becomes less meanwhile.
void Connection::watch_peer(SteadyTime now) {
  int left = 0;
  if (outbox_.queued() > 0 && ::ioctl(socket_.native_handle(), SIOCOUTQ, &left) == 0 && left < in_kernel_)
    progress_ = now;
  in_kernel_ = left;
}

void Connection::tick(SteadyTime now) {
  if (closed_) return;
  watch_peer(now);
  if (bounded_ && loop_.draining()) deadline_ = std::min(deadline_, now + linger);
  if (now >= deadline_ || (ending_ && stalled(now))) abort();
}

}  // namespace restream
