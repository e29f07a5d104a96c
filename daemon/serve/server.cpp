#include "serve/server.hpp"

#include <pthread.h>
#include <atomic>

#include <thread>
#include <utility>

#include "serve/listener.hpp"
#include "serve/loop.hpp"

namespace restream {

struct Server::Impl {
  Impl(ServerOptions options, Clock clock, Log log)
      : context{.clock = std::move(clock), .log = std::move(log), .feed = {}} {
    const unsigned count = options.threads == 0 ? 1 : options.threads;
    const auto rules = std::make_shared<const ServeRules>(std::move(options));
    std::vector<Loop*> list;
    list.reserve(count);
    for (ServeNumber number = 0; number < count; ++number)
      list.push_back(loops.emplace_back(std::make_unique<Loop>(context, rules, number)).get());
    listener = std::make_unique<Listener>(std::move(list));
  }

  ServeContext context;
  std::vector<std::unique_ptr<Loop>> loops;
  std::unique_ptr<Listener> listener;
  std::vector<std::thread> threads;
};

Server::Server(ServerOptions options, Clock clock, Log log)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(clock), std::move(log))) {}

Server::~Server() {
  for (const auto& loop : impl_->loops) loop->stop();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->listener->close();
  for (const auto& loop : impl_->loops) loop->finish();
  // The listener's sockets belong to the first loop.
  impl_->listener.reset();
}

std::vector<ServeThread> Server::threads() {
  std::vector<ServeThread> entrances;
  for (const auto& loop : impl_->loops) entrances.push_back(loop->entrance());
  return entrances;
}

std::expected<void, std::string> Server::start(Feed feed, std::optional<int> listening) {
  impl_->context.feed = std::move(feed);
  Listener& listener = *impl_->listener;
  if (auto open = listening ? listener.adopt(*listening) : listener.open(impl_->loops.front()->options()); !open)
    return open;
  impl_->listener->start();
  for (const auto& loop : impl_->loops) {
    impl_->threads.emplace_back([&one = *loop] {
      pthread_setname_np(pthread_self(), "serve");
      one.run();
    });
  }
  return {};
}

template <typename Job>
void Server::on_each(const Job& job) {
  for (const auto& loop : impl_->loops) {
    if (impl_->threads.empty())
      job(*loop);
    else
      loop->post([&one = *loop, job] { job(one); });
  }
}

void Server::set_tokens(std::vector<TokenEntry> entries) {
  on_each([tokens = std::make_shared<const Tokens>(std::move(entries))](Loop& loop) { loop.set_tokens(tokens); });
}

void Server::ask_no_tokens() {
  on_each([](Loop& loop) { loop.set_tokens(nullptr); });
}

void Server::set_options(ServerOptions options) {
  impl_->listener->set_limits(options.connections, options.connections_per_address);
  on_each([rules = std::make_shared<const ServeRules>(std::move(options))](Loop& loop) { loop.set_rules(rules); });
}

void Server::set_tls(std::shared_ptr<const TlsContext> tls) {
  on_each([tls = std::move(tls)](Loop& loop) { loop.set_tls(tls); });
}

std::string Server::address() const { return impl_->listener->address(); }
std::uint16_t Server::port() const { return impl_->listener->port(); }

Server::Totals Server::totals() const {
  Totals totals;
  for (const auto& loop : impl_->loops) {
    const ServeStats& stats = loop->stats();
    totals.connections += stats.connections.value();
    for (std::size_t i = 0; i < framings; ++i) totals.followers.at(i) += stats.followers.at(i).value();
    totals.deliveries += stats.deliveries.value();
    totals.sent_bytes += stats.sent_bytes.value();
    totals.queued_bytes += stats.queued_bytes.value();
    totals.slow_disconnects += stats.slow_disconnects.value();
    for (std::size_t i = 0; i < totals.responses.size(); ++i) totals.responses.at(i) += stats.responses.at(i).value();
  }
  return totals;
}

void Server::drain(Millis over, const std::function<void()>& done) {
  const auto left = std::make_shared<std::atomic<std::size_t>>(impl_->loops.size());
  for (const auto& loop : impl_->loops)
    loop->post([&one = *loop, over, left, done] {
      one.drain(over, [left, done] {
        if (--*left == 0) done();
      });
    });
}

}  // namespace restream
