#include "serve/http_session.hpp"

#include <utility>

#include "serve/page.hpp"
#include "serve/routes.hpp"
#include "serve/sse_session.hpp"
#include "serve/stream_request.hpp"
#include "serve/ws_session.hpp"

namespace restream {

namespace {

constexpr std::size_t head_limit = 8192;
constexpr Seconds head_time{5};
constexpr Seconds rest_time{60};
constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::string_view half_of_line_end = "\r";

}  // namespace

HttpSession::HttpSession(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

void HttpSession::start(std::shared_ptr<Connection> connection) {
  Loop& loop = connection->loop();
  auto session = std::make_shared<HttpSession>(std::move(connection));
  const std::weak_ptr<HttpSession> weak = session;
  session->connection_->on_room = [weak] {
    if (const auto self = weak.lock()) self->next();
  };
  session->connection_->on_closed = [weak, &loop] {
    if (const auto self = weak.lock()) loop.remove(self.get());
  };
  session->deadline_ = loop.clock().steady() + head_time;
  loop.add(session);
  session->read();
}

void HttpSession::tick(SteadyTime now) {
  connection_->tick(now);
  if (connection_->ending()) return;
  if (connection_->stalled(now)) return connection_->abort();
  if (answering_ || now < deadline_) return;
  // Resting between two requests is no fault, but it ends too.
  if ((!first_ && !begun()) || connection_->shaking_hands()) return connection_->abort();
  refuse(408, "the request's head took longer than 5 s");
}

void HttpSession::go_away() {
  // With a request to answer, send() ends the connection after it.
  if (answering_ || first_ || begun() || connection_->ending()) return;
  if (connection_->outbox().queued() == 0) return connection_->abort();
  connection_->end(true);
  if (!reading_) connection_->drain_and_close(true);
}

void HttpSession::await_next() {
  skip_empty_lines();
  resting_ = !begun();
  deadline_ = connection_->loop().clock().steady() + (resting_ ? rest_time : head_time);
}

// They are allowed before a request, and are no part of it: whoever sends nothing else rests.
void HttpSession::skip_empty_lines() {
  std::size_t size = 0;
  while (std::string_view(input_).substr(size).starts_with("\r\n")) size += 2;
  input_.erase(0, size);
}

bool HttpSession::begun() const { return !input_.empty() && input_ != half_of_line_end; }

// Handles the next request, or reads more of it.
void HttpSession::next() {
  if (answering_ || connection_->ending() || connection_->closed()) return;
  // An answer that is still leaving: its reader has no use for another one now.
  if (connection_->outbox().queued() >= Connection::low_water) {
    deadline_ = SteadyTime::max();
    return;
  }
  if (deadline_ == SteadyTime::max()) await_next();
  skip_empty_lines();
  if (!begun()) return read();
  if (input_[0] < 'A' || input_[0] > 'Z') return refuse(400, "not an HTTP request");
  const std::size_t end = input_.find(head_end, looked_ < head_end.size() ? 0 : looked_ - head_end.size());
  looked_ = input_.size();
  if (end == std::string::npos && input_.size() <= head_limit) return read();
  if (end == std::string::npos || end + head_end.size() > head_limit)
    return refuse(431, "the request's head is larger than 8 KiB");
  auto request = parse_request(std::string_view(input_).substr(0, end + head_end.size()));
  input_.erase(0, end + head_end.size());
  looked_ = 0;
  if (!request) return refuse(400, request.error());
  // A method that is not served is told so by its route; its body must not be taken for the next request.
  const bool served = request->method == "GET" || request->method == "HEAD";
  if (request->has_body && !served) request->keep_alive = false;
  if (request->has_body && served) return refuse(413, "requests with a body are not understood here");
  handle(*request);
}

void HttpSession::read() {
  if (std::exchange(reading_, true)) return;
  connection_->read(
      [self = shared_from_this()](const ErrorCode& error, std::string_view bytes) { self->on_bytes(error, bytes); });
}

void HttpSession::on_bytes(const ErrorCode& error, std::string_view bytes) {
  reading_ = false;
  if (connection_->closed()) return;
  if (connection_->plain_on_tls() && !connection_->ending())
    return refuse(400, "this port speaks TLS; use https:// or wss://");
  // While ending (a 408), what still comes is dropped.
  if (error || connection_->ending()) return connection_->drain_and_close(false);
  input_.append(bytes);
  skip_empty_lines();
  // The rest is over: from now on the head has its 5 s.
  if (begun() && std::exchange(resting_, false)) deadline_ = connection_->loop().clock().steady() + head_time;
  next();
}

void HttpSession::refuse(int status, std::string_view message) {
  head_ = false;
  keep_alive_ = false;
  origin_.clear();
  send(error_answer(status, "bad_request", message));
}

void HttpSession::handle(const Request& request) {
  first_ = false;
  answering_ = true;
  head_ = request.method == "HEAD";
  keep_alive_ = request.keep_alive;
  const std::string_view origin = request.header("origin");
  Loop& loop = connection_->loop();
  const Way way = loop.proxies().way(request, connection_->peer(), connection_->tls());
  if (loop.proxies().trusts(connection_->peer())) connection_->set_address(way.address);
  origin_ = !origin.empty() && loop.origins().allows(origin, way.host, way.https) ? origin : "";

  // Health is told to whoever asks: a full house is no reason to restart the server.
  const bool health = request.path == "/livez" || request.path == "/readyz";
  if (connection_->refused()) keep_alive_ = false;
  if (connection_->refused() && !health) {
    Answer answer = error_answer(503, "unavailable",
                                 "the server has its limit of connections (limits.connections), or your address has "
                                 "its own (limits.connections_per_address); try again later");
    answer.headers.emplace_back("Retry-After", "5");
    return send(answer);
  }
  // A browser asks this without a token, so it is answered without one.
  if (request.method == "OPTIONS" && request.has("access-control-request-method"))
    return send(preflight_answer(!origin_.empty()));
  std::expected<Admission, Answer> admission;
  // A browser cannot send a token when it opens the page, which holds nothing but itself, and asks for one.
  const bool page = asks_for_page(request.path, request.header("accept"));
  if (!health && !page) admission = admit(loop, request);
  if (!admission) {
    if (request.upgrade()) keep_alive_ = false;
    return send(admission.error());
  }
  if (request.upgrade()) return upgrade(request, std::move(*admission));
  if (asks_for_stream(request)) return stream(request, std::move(*admission));
  if (request.path == "/tickets") return send(ticket_answer(loop, request, *admission));
  route(loop, request, way, {.address = connection_->address(), .access = admission->access()},
        [weak = weak_from_this()](const Answer& answer) {
          if (const auto self = weak.lock()) self->send(answer);
        });
}

void HttpSession::upgrade(const Request& request, Admission admission) {
  Loop& loop = connection_->loop();
  if (const auto refusal = upgrade_refusal(loop, request, !origin_.empty())) {
    keep_alive_ = false;
    return send(*refusal);
  }
  StreamRequest wanted;
  if (subprotocol(request) == cloudevents_protocol) {
    auto named = parse_socket_request(request, loop.options().subscriptions_per_connection);
    if (!named) {
      keep_alive_ = false;
      return send(refusal_answer(named.error().code, named.error().message));
    }
    wanted = std::move(*named);
  }
  count_response(101);
  // What the client sent right behind its request are frames already.
  WsSession::start(connection_, std::move(admission), request, std::move(wanted), std::move(input_));
  loop.remove(this);
}

void HttpSession::stream(const Request& request, Admission admission) {
  Loop& loop = connection_->loop();
  if (const auto refusal = stream_refusal(loop, request, !origin_.empty())) return send(*refusal);
  auto wanted = parse_stream_request(request, loop.options().subscriptions_per_connection);
  if (!wanted) return send(refusal_answer(wanted.error().code, wanted.error().message));
  const std::string server = "restream/" + loop.options().version;
  SseSession::start(connection_, std::move(admission), std::move(*wanted),
                    stream_head({.server = server, .time = loop.clock().wall(), .origin = origin_}),
                    [weak = weak_from_this()](const std::optional<FeedError>& refused) {
                      const auto self = weak.lock();
                      if (!self) return;
                      if (refused) return self->send(refusal_answer(refused->code, refused->message));
                      self->count_response(200);
                      self->connection_->loop().remove(self.get());
                    });
}

void HttpSession::count_response(int status) {
  connection_->loop().stats().responses.at(static_cast<std::size_t>(status / 100 - 1)).add();
}

void HttpSession::send(const Answer& answer) {
  answering_ = false;
  if (connection_->closed() || connection_->ending()) return;
  Loop& loop = connection_->loop();
  count_response(answer.status);
  const bool close = !keep_alive_ || answer.close || loop.draining();
  const std::string server = "restream/" + loop.options().version;
  const AnswerContext context{
      .server = server, .time = loop.clock().wall(), .head = head_, .close = close, .origin = origin_};
  connection_->send(std::make_shared<const std::string>(answer_bytes(answer, context)));
  connection_->send(shared_body(answer, context));
  if (close) {
    connection_->end(false);
    // A read under way notices that the connection is ending.
    if (!reading_) connection_->drain_and_close(false);
    return;
  }
  first_ = false;
  // Until the next request a proxy's connection is nobody's.
  if (loop.proxies().trusts(connection_->peer())) connection_->set_address({});
  await_next();
  // By way of the loop: a client that sends many requests at once must neither nest nor starve the others.
  loop.post([self = shared_from_this()] { self->next(); });
}

}  // namespace restream
