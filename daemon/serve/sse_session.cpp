#include "serve/sse_session.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>

namespace restream {

namespace {

constexpr Seconds heartbeat{15};
// How long a reader waits before it reconnects, in milliseconds. After a goodbye it must not come back before the
// server is gone: a browser that is told 503 gives up for good.
constexpr std::string_view retry = "retry: 3000\n\n";
constexpr std::string_view retry_after_goodbye = "retry: 9000\n\n";
// A client that vanished answers nothing; the heartbeats it doesn't acknowledge for so long end the connection.
constexpr unsigned vanished_after_ms = 60000;

Frames bytes_of(std::string_view text) { return std::make_shared<const std::string>(text); }

}  // namespace

SseSession::SseSession(std::shared_ptr<Connection> connection, Admission admission, StreamRequest request,
                       std::string head, Decided decided)
    : connection_(std::move(connection)),
      admission_(std::move(admission)),
      request_(std::move(request)),
      head_(std::move(head)),
      decided_(std::move(decided)),
      beat_(connection_->loop().now() + heartbeat) {}

void SseSession::start(std::shared_ptr<Connection> connection, Admission admission, StreamRequest request,
                       std::string head, Decided decided) {
  const auto session = std::make_shared<SseSession>(std::move(connection), std::move(admission), std::move(request),
                                                    std::move(head), std::move(decided));
  std::unique_ptr<StreamId> ids;
  if (session->request_.several) {
    std::vector<std::string> since;
    for (const StreamRequest::Channel& channel : session->request_.channels) since.push_back(channel.since);
    ids = std::make_unique<StreamId>(std::move(since));
  }
  session->subscriptions_ = std::make_shared<Subscriptions>(
      session->connection_, Framing::sse, std::move(ids), [weak = std::weak_ptr(session)](const std::string& position) {
        if (const auto self = weak.lock()) self->end("too slow: the events after " + position + " have left the log");
      });
  session->attach();
}

void SseSession::attach() {
  Loop& loop = connection_->loop();
  pending_ = request_.channels.size();
  for (std::size_t place = 0; place < request_.channels.size(); ++place) {
    const StreamRequest::Channel& channel = request_.channels[place];
    // The reply holds the session, so that what was attached is detached even if the client has left meanwhile.
    loop.feed().attach({.serve = loop.number(),
                        .fetcher = channel.fetcher,
                        .params = channel.params,
                        .since = channel.since,
                        .form = request_.delivery.form(Framing::sse),
                        .filter = request_.delivery.filter,
                        .visitor = {.address = connection_->address(), .access = admission_.access()}},
                       loop.on_loop<Reply>([self = shared_from_this(), place](const Reply& attached) {
                         self->on_attached(place, attached);
                       }));
  }
}

void SseSession::on_attached(std::size_t place, const Reply& attached) {
  --pending_;
  if (attached && !take(place, *attached)) {
    Loop& loop = connection_->loop();
    loop.feed().detach(loop.number(), attached->channel, attached->form);
  }
  if (!attached && open_) tell(place, attached.error());
  if (!attached && !open_) refused_.emplace_back(place, attached.error());
  if (pending_ > 0 || open_) return;
  decided_(refused_.empty() ? FeedError{"unavailable", "the server is shutting down; try again in a moment"}
                            : refused_.front().second);
}

// Whether the attach has become a subscription.
bool SseSession::take(std::size_t place, const Attached& attached) {
  if (connection_->closed() || connection_->ending()) return false;
  if (!open_ && connection_->loop().draining()) return false;
  if (subscriptions_->find(attached.channel) != nullptr) {
    subscriptions_->named_twice(place);
    return false;
  }
  if (!open_) open();
  subscriptions_->add(attached, request_.delivery, place);
  return true;
}

void SseSession::open() {
  open_ = true;
  const std::weak_ptr<SseSession> weak = weak_from_this();
  connection_->on_room = [weak] {
    if (const auto self = weak.lock()) self->subscriptions_->on_room();
  };
  connection_->on_closed = [weak] {
    if (const auto self = weak.lock()) self->on_closed();
  };
  ::setsockopt(connection_->socket().native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &vanished_after_ms,
               sizeof vanished_after_ms);
  connection_->loop().add(shared_from_this());
  decided_(std::nullopt);
  decided_ = nullptr;
  connection_->send(bytes_of(std::exchange(head_, {}).append(retry)));
  for (const auto& [place, error] : refused_) tell(place, error);
  read();
}

void SseSession::tell(std::size_t place, const FeedError& error) {
  if (connection_->ending()) return;
  subscriptions_->send_error(error.code, error.message,
                             R"({"channel":)" + json_string(request_.channels[place].text) + "}");
}

void SseSession::read() {
  // A stream's client has nothing to say: that it goes is what there is to hear.
  connection_->read([self = shared_from_this()](const ErrorCode& error, std::string_view) {
    if (self->connection_->closed()) return;
    if (self->connection_->ending()) return self->connection_->drain_and_close(true);
    if (error) return self->connection_->abort();
    self->read();
  });
}

void SseSession::end(std::string_view why) {
  if (connection_->ending()) return;
  connection_->loop().log().debug("ending an event stream",
                                  {{"address", connection_->address()}, {"reason", std::string(why)}});
  subscriptions_->clear();
  connection_->end(true);
}

void SseSession::go_away() {
  if (!connection_->ending()) connection_->send(bytes_of(retry_after_goodbye));
  end("the server is shutting down");
}

void SseSession::tick(SteadyTime now) {
  connection_->tick(now);
  if (connection_->ending()) return;
  if (connection_->stalled(now)) {
    connection_->loop().stats().slow_disconnects.add();
    return end("too slow: nothing was read for 10 s");
  }
  if (const std::string_view why = admission_.ended(connection_->loop()); !why.empty()) return end(why);
  subscriptions_->tick(now);
  if (now < beat_) return;
  beat_ = now + heartbeat;
  static const Frames beat = bytes_of(":\n\n");
  if (connection_->outbox().queued() == 0) connection_->send(beat);
}

void SseSession::on_closed() {
  subscriptions_->clear();
  connection_->loop().remove(this);
}

}  // namespace restream
