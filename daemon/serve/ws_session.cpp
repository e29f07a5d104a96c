#include "serve/ws_session.hpp"

#include <utility>

#include "serve/close_frame.hpp"
#include "serve/handshake.hpp"

namespace restream {

namespace {

constexpr int faults_until_close = 10;
constexpr Seconds ping_after{30};  // of silence
constexpr Seconds gone_after{60};
constexpr std::string_view empty_ping("\x89\x00", 2);

Frames frame_of(std::string bytes) { return std::make_shared<const std::string>(std::move(bytes)); }

std::string with_position(std::string_view what, const std::string& position) {
  std::string reason(what);
  return position.empty() ? reason : reason + "; resume from " + position;
}

}  // namespace

WsSession::WsSession(std::shared_ptr<Connection> connection, Admission admission, std::string early, Framing framing,
                     bool deflate, StreamRequest wanted)
    : connection_(std::move(connection)),
      admission_(std::move(admission)),
      wanted_(wanted.channels.empty() ? nullptr : std::make_unique<const StreamRequest>(std::move(wanted))),
      framing_(framing),
      stream_(connection_, std::move(early), connection_->loop().options().message_size, deflate),
      heard_(connection_->loop().now()) {}

void WsSession::start(std::shared_ptr<Connection> connection, Admission admission, const Request& request,
                      StreamRequest wanted, std::string early) {
  Loop& loop = connection->loop();
  const std::string protocol = subprotocol(request);
  const bool cloudevents = protocol == cloudevents_protocol;
  const Deflating deflating = loop.options().compression && !cloudevents ? accept_deflate(request) : Deflating{};
  const Framing framing = cloudevents      ? Framing::cloudevents
                          : deflating.ours ? Framing::websocket_deflate
                                           : Framing::websocket;
  const auto session = std::make_shared<WsSession>(std::move(connection), std::move(admission), std::move(early),
                                                   framing, !deflating.extension.empty(), std::move(wanted));
  const std::weak_ptr<WsSession> weak = session;
  session->subscriptions_ = std::make_shared<Subscriptions>(
      session->connection_, session->framing_, nullptr, [weak](const std::string& position) {
        if (const auto self = weak.lock())
          self->close(close_try_again_later,
                      with_position("too slow: the events that follow have left the log", position));
      });
  session->connection_->on_room = [weak] {
    const auto self = weak.lock();
    if (!self) return;
    self->subscriptions_->on_room();
    self->read();
  };
  session->connection_->on_closed = [weak] {
    if (const auto self = weak.lock()) self->on_closed();
  };
  loop.add(session);
  const std::string server = "restream/" + loop.options().version;
  std::string hello = handshake_bytes(request, server, protocol, deflating.extension);
  if (!cloudevents) hello += *frame(ready_json(loop.options().version));
  session->connection_->send(frame_of(std::move(hello)));
  session->next();
}

// The next channel that was wanted from the start; then what the client says.
void WsSession::next() {
  if (wanted_ && asked_ == wanted_->channels.size()) wanted_.reset();
  if (!wanted_ || connection_->ending()) return read();
  const StreamRequest::Channel& channel = wanted_->channels[asked_++];
  busy_ = true;
  request_ = R"({"channel":)" + json_string(channel.text) + "}";
  subscribe({.action = ClientMessage::Action::subscribe,
             .channel = channel.fetcher,
             .params = channel.params,
             .since = channel.since,
             .delivery = wanted_->delivery});
}

void WsSession::heard(SteadyTime when) {
  if (when <= heard_) return;
  heard_ = when;
  pinged_ = false;
}

void WsSession::read() {
  // A client can't make us queue more than it reads. After a close frame there is nothing to handle any more: what
  // comes is dropped, so that the client's own close can come through.
  const bool enough = busy_ || connection_->outbox().queued() > Connection::high_water;
  if (reading_ || connection_->closed() || (enough && !connection_->ending())) return;
  reading_ = true;
  stream_.read([self = shared_from_this()](const ErrorCode& error, WsStream::Message message) {
    self->on_read(error, message);
  });
}

void WsSession::on_read(const ErrorCode& error, WsStream::Message message) {
  reading_ = false;
  if (error) {
    subscriptions_->clear();
    return connection_->drain_and_close(true);
  }
  heard(connection_->loop().now());
  if (connection_->ending()) return read();
  busy_ = true;
  request_ = message.bytes;
  if (message.text)
    handle(request_);
  else
    fail("bad_request", "binary frames are not understood; send each message as a text frame");
}

void WsSession::handle(std::string_view text) {
  auto message = parse_message(text);
  if (!message) return fail(message.error().code, message.error().message);
  faults_in_a_row_ = 0;
  switch (message->action) {
    case ClientMessage::Action::subscribe:
      if (subscriptions_->size() >= connection_->loop().options().subscriptions_per_connection)
        // Attaching could start a poll for nothing: first find out whether it is one of those we have.
        return resolve(std::move(*message), &WsSession::subscribe_at_limit);
      return subscribe(std::move(*message));
    case ClientMessage::Action::unsubscribe:
      return resolve(std::move(*message), &WsSession::unsubscribe);
    case ClientMessage::Action::unsubscribe_all:
      return unsubscribe_all();
  }
}

void WsSession::subscribe(ClientMessage message) {
  using Reply = std::expected<Attached, FeedError>;
  Loop& loop = connection_->loop();
  AttachRequest request{.serve = loop.number(),
                        .fetcher = std::move(message.channel),
                        .params = std::move(message.params),
                        .since = std::move(message.since),
                        .form = message.delivery.form(framing_),
                        .filter = message.delivery.filter,
                        .visitor = {.address = connection_->address(), .access = admission_.access()}};
  // Even when the client has left meanwhile, what was attached must be detached.
  const auto reply = [weak = weak_from_this(), &loop, delivery = message.delivery](const Reply& attached) {
    const auto self = weak.lock();
    const bool wanted = self && self->on_attached(attached, delivery);
    if (attached && !wanted) loop.feed().detach(loop.number(), attached->channel, attached->form);
    if (self) self->done();
  };
  loop.feed().attach(std::move(request), loop.on_loop<Reply>(reply));
}

// Whether the attach has become a subscription.
bool WsSession::on_attached(const std::expected<Attached, FeedError>& attached, const Delivery& delivery) {
  if (!attached) {
    report(attached.error().code, attached.error().message);
    return false;
  }
  if (connection_->ending()) return false;
  if (const Subscription* twice = subscriptions_->find(attached->channel)) {
    acknowledge_again(*twice);
    return false;
  }
  subscriptions_->add(*attached, delivery);
  return true;
}

void WsSession::acknowledge_again(const Subscription& subscription) {
  const std::string json = subscribed_json(*subscription.channel->label, Subscriptions::position(subscription), false);
  tell("subscribed", json, *subscription.channel->label);
}

std::string WsSession::too_many() const {
  return "this connection has its " + std::to_string(connection_->loop().options().subscriptions_per_connection) +
         " subscriptions; unsubscribe from one, or open another connection";
}

void WsSession::resolve(ClientMessage message, void (WsSession::*then)(const Feed::Resolved&)) {
  using Reply = std::expected<Feed::Resolved, FeedError>;
  Loop& loop = connection_->loop();
  const auto asked = std::make_shared<const ClientMessage>(std::move(message));
  loop.feed().resolve(asked->channel, asked->params, admission_.access(),
                      loop.on_loop<Reply>([weak = weak_from_this(), asked, then](const Reply& resolved) {
                        const auto self = weak.lock();
                        if (!self) return;
                        if (!resolved) return self->cannot_resolve(*asked, resolved.error());
                        (self.get()->*then)(*resolved);
                      }));
}

// The fetcher may be disabled or gone by now, or take other params: who follows a channel of it can leave all the same.
void WsSession::cannot_resolve(const ClientMessage& message, const FeedError& error) {
  if (message.action == ClientMessage::Action::unsubscribe)
    if (const Subscription* one =
            subscriptions_->named(message.channel, message.params, error.code == "invalid_params")) {
      const auto label = one->channel->label;
      return leave(one->channel->number, *label);
    }
  fail(error.code, error.message);
}

void WsSession::subscribe_at_limit(const Feed::Resolved& resolved) {
  const Subscription* twice = resolved.channel ? subscriptions_->find(*resolved.channel) : nullptr;
  if (twice == nullptr) return fail("too_many_subscriptions", too_many());
  acknowledge_again(*twice);
  done();
}

void WsSession::unsubscribe(const Feed::Resolved& resolved) {
  if (!resolved.channel || subscriptions_->find(*resolved.channel) == nullptr)
    return fail("not_subscribed", "this connection is not subscribed to that channel");
  leave(*resolved.channel, resolved.label);
}

void WsSession::leave(ChannelNumber channel, const std::string& label) {
  subscriptions_->remove(channel);
  tell("unsubscribed", unsubscribed_json(label), label);
  done();
}

void WsSession::unsubscribe_all() {
  const auto labels = subscriptions_->labels();
  subscriptions_->clear();
  for (const auto& label : labels) tell("unsubscribed", unsubscribed_json(*label), *label);
  tell("unsubscribed_all", unsubscribed_all_json(labels.size()), {});
  done();
}

void WsSession::done() {
  busy_ = false;
  std::string().swap(request_);  // an idle session holds no memory for it
  // The client was not read from meanwhile, so its silence was ours.
  heard(connection_->loop().now());
  next();
}

// An answer. Small as they are, these are not compressed.
void WsSession::tell(std::string_view type, std::string_view json, std::string_view label) {
  const Framing framing = framing_ == Framing::cloudevents ? framing_ : Framing::websocket;
  connection_->send(encode(framing, type, {}, json, label));
}

void WsSession::fail(std::string_view code, std::string_view message) {
  report(code, message);
  done();
}

void WsSession::report(std::string_view code, std::string_view message) {
  tell("error", error_json(code, message, request_), {});
  const bool fault = code == "bad_request" || code == "unknown_action";
  faults_in_a_row_ = fault ? faults_in_a_row_ + 1 : 0;
  if (faults_in_a_row_ >= faults_until_close) close(close_policy, "10 requests in a row that could not be understood");
}

void WsSession::close(std::uint16_t code, std::string_view reason) {
  if (connection_->ending()) return;
  connection_->loop().log().debug(
      "closing a WebSocket",
      {{"address", connection_->address()}, {"code", std::to_string(code)}, {"reason", std::string(reason)}});
  subscriptions_->clear();
  connection_->send_last(frame_of(close_frame(code, reason)), true);
  read();
}

void WsSession::go_away() {
  const std::string position = subscriptions_->resume_position();
  close(close_going_away, with_position("the server is shutting down", position));
}

void WsSession::tick(SteadyTime now) {
  connection_->tick(now);
  if (connection_->ending()) return;
  if (connection_->stalled(now)) {
    connection_->loop().stats().slow_disconnects.add();
    return close(close_try_again_later,
                 with_position("too slow: nothing was read for 10 s", subscriptions_->resume_position()));
  }
  if (const std::string_view why = admission_.ended(connection_->loop()); !why.empty()) return close(close_policy, why);
  subscriptions_->tick(now);
  heard(stream_.last_control());
  // A client that has bytes to read is judged by whether it reads them; one that waits for an answer is not judged.
  if (busy_ || connection_->outbox().queued() > 0) return heard(connection_->loop().now());
  if (now - heard_ >= gone_after) return connection_->abort();
  if (now - heard_ >= ping_after && !std::exchange(pinged_, true)) connection_->send(frame_of(std::string(empty_ping)));
}

void WsSession::on_closed() {
  subscriptions_->clear();
  connection_->loop().remove(this);
}

}  // namespace restream
