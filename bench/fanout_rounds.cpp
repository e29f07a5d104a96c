#include "fanout_rounds.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "measure.hpp"

namespace bench {

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

struct Round {
  double cost = 0;
  double wait = 0;
  double serving = 0;  // of the cost, that of the serve threads; restream's alone
};

// From now until the subscribers have read so many bytes more.
class Stopwatch {
 public:
  explicit Stopwatch(Clients& clients) : clients_(clients), before_(clients.tally().bytes) {}
  double wait_for(std::uint64_t bytes) const {
    return Milliseconds(clients_.wait_for(before_ + bytes) - start_).count();
  }

 private:
  Clients& clients_;
  std::uint64_t before_;
  Clock::time_point start_ = Clock::now();
};

// A subscriber that only reads acknowledges what it got up to 40 ms later, from a timer on the sender's CPU: in the
// time of whoever sends then.
void let_timers_run_out() { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }

void send_to_all(const std::vector<int>& sockets, const std::string& bytes) {
  for (const int fd : sockets) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t size = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (size > 0)
        sent += static_cast<std::size_t>(size);
      else if (errno != EAGAIN)
        throw std::runtime_error("send() failed");
    }
  }
}

// In a thread of its own, as restream sends in one: seconds of CPU.
double send_raw(const std::vector<int>& sockets, const std::string& bytes) {
  double took = 0;
  std::thread([&] {
    const double start = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    send_to_all(sockets, bytes);
    took = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
  }).join();
  return took;
}

Round round_of(const Rival& rival, std::size_t burst, std::size_t size, std::size_t subscribers) {
  const std::string message(size, 'x');
  let_timers_run_out();
  const Stopwatch watch(*rival.clients);
  const double start = rival.server->cpu_seconds();
  for (std::size_t i = 0; i < burst; ++i) rival.server->publish(message);
  const double wait = watch.wait_for(Peer::framed(size) * burst * subscribers);
  return {(rival.server->cpu_seconds() - start) / static_cast<double>(burst * subscribers) * 1e6, wait};
}

}  // namespace

std::string new_items(std::size_t count, std::size_t size) {
  static std::size_t next = 1;
  constexpr std::size_t envelope = 181;  // of a new_item message around the padding
  std::string items;
  for (std::size_t i = 0; i < count; ++i) {
    items += items.empty() ? "" : ",";
    items += R"({"id":)" + std::to_string(10'000'000 + next++) + R"(,"text":")" +
             std::string(size - std::min(size, envelope), 'x') + "\"}";
  }
  return "[" + items + "]";
}

Figures measure(const Bed& bed, Clients& clients, const std::vector<int>& sockets, const std::vector<Rival>& rivals,
                std::size_t burst, const RoundOptions& options) {
  Figures all{.burst = burst, .message = 0, .servers = {{.who = "restream"}}};
  if (options.raw) all.servers.insert(all.servers.begin(), {.who = "raw send()"});
  for (const Rival& rival : rivals) all.servers.push_back({.who = std::string(Peer::name(rival.kind))});
  restream::Frames bytes;
  const auto send_by_restream = [&] {
    const auto messages = static_cast<double>(burst * (sockets.size() + options.more));
    const std::string items = new_items(burst, options.size);
    let_timers_run_out();
    bed.settle();
    const double serving = bed.serving_seconds();
    const double start = bed.cpu_seconds();
    const Stopwatch watch(clients);
    bytes = bed.publish(items, burst);
    const double wait = watch.wait_for(bytes->size() * sockets.size());
    bed.settle();
    return Round{(bed.cpu_seconds() - start) / messages * 1e6, wait,
                 (bed.serving_seconds() - serving) / messages * 1e6};
  };
  const auto send_by_raw = [&] {
    let_timers_run_out();
    const Stopwatch watch(clients);
    const double took = send_raw(sockets, *bytes);
    return Round{took / static_cast<double>(burst * sockets.size()) * 1e6,
                 watch.wait_for(bytes->size() * sockets.size())};
  };
  send_by_restream();
  auto heard = Clock::now();
  // The first round warms up and is not counted.
  for (std::size_t round = 0; round <= options.rounds; ++round) {
    if (const auto now = Clock::now(); options.heartbeats && now - heard > std::chrono::seconds(10)) {
      heard = now;
      clients.send_heartbeats();
      std::this_thread::sleep_for(std::chrono::milliseconds(500));  // no part of a round
    }
    std::vector<Round> costs(options.raw ? 2 : 1);
    const bool raw_first = round % 2 == 1;
    if (options.raw && raw_first) costs.front() = send_by_raw();
    costs.back() = send_by_restream();
    if (options.raw && !raw_first) costs.front() = send_by_raw();
    all.message = bytes->size() / burst;
    for (const Rival& rival : rivals) costs.push_back(round_of(rival, burst, options.size, sockets.size()));
    if (round == 0) continue;
    for (std::size_t i = 0; i < costs.size(); ++i) {
      all.servers[i].cost.push_back(costs[i].cost);
      all.servers[i].waits.push_back(costs[i].wait);
      all.servers[i].serving.push_back(costs[i].serving);
      all.servers[i].ratios.push_back(costs[i].cost / costs.front().cost);
      all.servers[i].wait_ratios.push_back(costs[i].wait / costs.front().wait);
    }
  }
  return all;
}

Storm measure_storm(const Bed& bed, Clients& clients, Clients& storm, std::size_t count, std::size_t sockets,
                    const RoundOptions& options) {
  // At one pace, so that the server has time for both: back to back the one would always be behind the other.
  Milliseconds pace{0};
  const auto round = [&] {
    bed.settle();
    const auto start = Clock::now();
    const Stopwatch watch(clients);
    const restream::Frames bytes = bed.publish(new_items(1, options.size), 1);
    const double took = watch.wait_for(bytes->size() * sockets);
    std::this_thread::sleep_until(start + std::chrono::duration_cast<Clock::duration>(pace));
    return took;
  };
  Storm figures;
  for (std::size_t i = 0; i < 5; ++i) figures.alone.push_back(round());
  pace = Milliseconds(3 * median(figures.alone));
  figures.alone.clear();
  for (std::size_t i = 0; i < options.rounds; ++i) figures.alone.push_back(round());
  const auto start = Clock::now();
  storm.connect(bed.port);
  while (storm.tally().subscribed < count && !storm.tally().failed) {
    figures.beside.push_back(round());
    if (Clock::now() - start > std::chrono::seconds(120))
      throw std::runtime_error("of the storm " + std::to_string(storm.tally().subscribed) + " were there after 120 s");
  }
  figures.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (storm.tally().failed) throw std::runtime_error("a client of the storm could not connect");
  return figures;
}

}  // namespace bench
