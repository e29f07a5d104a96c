#include "serve/loop.hpp"

#include <algorithm>
#include <vector>

#include "serve/connection.hpp"
#include "serve/http_session.hpp"
#include "serve/tls.hpp"

namespace restream {

namespace {

constexpr Millis tick_interval{250};

}  // namespace

Loop::Loop(const ServeContext& context, std::shared_ptr<const ServeRules> rules, ServeNumber number)
    : context_(context),
      rules_(std::move(rules)),
      number_(number),
      io_(std::make_shared<asio::io_context>(1)),
      timer_(io_->get_executor()),
      now_(context.clock.steady()) {}

Loop::~Loop() = default;

ServeThread Loop::entrance() {
  // `this` is used by posted jobs only, and those run while the Loop lives or never.
  return {.announce =
              [this, io = io_](std::shared_ptr<const Announcement> announcement) {
                asio::post(*io, [this, announcement = std::move(announcement)] {
                  channels_.announce(*announcement, gates_, stats_);
                });
              },
          .announce_status =
              [this, io = io_](StatusAnnouncement announcement) {
                asio::post(*io,
                           [this, announcement = std::move(announcement)] { channels_.announce_status(announcement); });
              }};
}

void Loop::run() {
  now_ = clock().steady();
  wait_tick();
  const auto keep_running = asio::make_work_guard(*io_);
  while (!io_->stopped()) {
    try {
      io_->run();
    } catch (const std::exception& error) {
      // A fault of ours in one handler must not end every stream of this thread.
      log().error("fault in a serve thread", {{"what", error.what()}});
    }
  }
}

void Loop::finish() {
  timer_.cancel();
  // Handlers own sessions, and sockets on their way to us become some: let all of them end while the Loop is there.
  do {
    for (const auto& session : all_sessions()) session->abort();
    io_->restart();
    while (io_->poll() > 0) io_->restart();
  } while (std::ranges::any_of(sessions_, [](const auto& group) { return !group.empty(); }));
}

void Loop::wait_tick() {
  timer_.expires_after(tick_interval);
  timer_.async_wait([this](const ErrorCode& error) {
    if (error) return;
    wait_tick();
    tick();
  });
}

void Loop::tick() {
  now_ = clock().steady();
  const auto& group = sessions_.at(turn_++ % sessions_.size());
  // A session may leave the group, or be replaced in it, when it is called.
  std::vector<std::shared_ptr<Session>> sessions;
  sessions.reserve(group.size());
  for (const auto& [_, session] : group) sessions.push_back(session);
  for (const auto& session : sessions) session->tick(now_);
  drain_step();
}

std::size_t Loop::group_of(const Session* session) {
  // The low bits of an address are those of its alignment.
  return (std::hash<const Session*>()(session) >> 8U) % std::tuple_size_v<decltype(sessions_)>;
}

std::vector<std::shared_ptr<Session>> Loop::all_sessions() const {
  std::vector<std::shared_ptr<Session>> all;
  for (const auto& group : sessions_)
    for (const auto& [_, session] : group) all.push_back(session);
  return all;
}

void Loop::adopt(Socket socket, std::string address, ConnectionSlot slot) {
  auto tls = tls_ ? std::make_unique<TlsStream>(*tls_, socket.native_handle()) : nullptr;
  auto connection =
      std::make_shared<Connection>(*this, std::move(socket), std::move(tls), std::move(address), std::move(slot));
  HttpSession::start(std::move(connection));
}

void Loop::add(std::shared_ptr<Session> session) {
  const Session* key = session.get();
  sessions_.at(group_of(key)).emplace(key, std::move(session));
}

void Loop::remove(const Session* session) { sessions_.at(group_of(session)).erase(session); }

void Loop::drain(Millis over, std::function<void()> done) {
  if (drain_) return;
  now_ = clock().steady();
  drain_ = Drain{.start = now_, .over = over, .total = 0, .done = std::move(done)};
  std::vector<std::shared_ptr<Session>> at_once;
  for (const auto& session : all_sessions()) {
    if (session->lasting())
      ++drain_->total;
    else
      at_once.push_back(session);
  }
  for (const auto& session : at_once) session->go_away();
  drain_step();
}

void Loop::drain_step() {
  if (!drain_) return;
  std::vector<std::shared_ptr<Session>> staying;
  bool any = false;
  bool answering = false;
  for (const auto& session : all_sessions()) {
    any = any || session->lasting();
    answering = answering || session->answering();
    if (session->lasting() && !session->leaving()) staying.push_back(session);
  }
  const auto passed = std::chrono::duration_cast<Millis>(now_ - drain_->start);
  if (!any && (!answering || passed >= drain_->over)) {
    if (drain_->done) std::exchange(drain_->done, nullptr)();
    return;
  }
  // How many may still stay by now: a straight line from all to none.
  const auto left = std::max<Millis::rep>(0, (drain_->over - passed).count());
  const std::size_t may_stay =
      left == 0 ? 0 : drain_->total * static_cast<std::size_t>(left) / static_cast<std::size_t>(drain_->over.count());
  for (std::size_t i = may_stay; i < staying.size(); ++i) staying[i]->go_away();
}

}  // namespace restream
