// What one event costs the server for each subscriber, beside the least that the kernel allows.
//
//   build/release/bench/bench-fanout [--subscribers 2000] [--channels 1] [--threads 1] [--rounds 20] [--size 500]
//   [--over websocket|deflate|sse|tls] [--storm N] [--peers] [--json]
//
// In one run, over the same sockets, in turns, with restream and the raw loop going first one time each:
//   restream   a poll's result -> diff -> commit (SQLite, a real file) -> frames -> serve thread -> sockets
//   raw        a loop that calls send() with the same bytes, framed beforehand
//   peers      with --peers: nchan and pushpin as Debian packages them, each with as many subscribers of its own, which
//              are published the same messages
// Printed is the CPU time (user and system, of the server without this measuring thread) for each delivered message,
// the median of all rounds, for bursts of 1 and of 25 events; and how long it took until the last subscriber had read
// it. The subscribers are another process; its CPU time is not counted.
//
// --channels spreads the subscribers over so many channels, each of which has a burst in every round. Over TLS there is
// no raw loop beside it (it would send plain bytes). --storm: bursts of 1 again while N clients connect, subscribe to
// another channel and stay, beside as many bursts just before.
#include "fanout_bed.hpp"
#include "fanout_clients.hpp"
#include "measure.hpp"
#include "peers.hpp"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace restream;
using bench::anonymous_memory;
using bench::cpu_seconds;
using bench::median;
using bench::percentile;
using bench::serving_seconds;

struct Options {
  std::size_t subscribers = 2000;
  std::size_t rounds = 20;
  std::size_t size = 500;  // of a message, without its frame
  std::size_t channels = 1;
  std::size_t threads = 1;
  std::size_t storm = 0;
  Framing over = Framing::websocket;
  std::string fetcher = "bench";
  bool tls = false;
  bool peers = false;
  bool json = false;
};

// The sockets of this process that are connected to the listening port: the server's ends.
std::vector<int> server_sockets(std::uint16_t port) {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::atoi(entry.path().filename().c_str());
    sockaddr_in local{};
    sockaddr generic{};
    socklen_t size = sizeof generic;
    if (getsockname(fd, &generic, &size) != 0 || generic.sa_family != AF_INET) continue;
    std::memcpy(&local, &generic, sizeof local);
    size = sizeof generic;
    if (ntohs(local.sin_port) == port && getpeername(fd, &generic, &size) == 0) found.push_back(fd);
  }
  return found;
}

// A poll's result in which `burst` items are new, each making a message of about `size` bytes.
std::string result_of(std::size_t burst, std::size_t size) {
  static std::size_t next = 1;
  constexpr std::size_t envelope = 169;  // of a new_item message around the padding
  std::string items;
  for (std::size_t i = 0; i < burst; ++i) {
    items += items.empty() ? "" : ",";
    items += R"({"id":)" + std::to_string(10'000'000 + next++) + R"(,"text":")" +
             std::string(size - std::min(size, envelope), 'x') + "\"}";
  }
  return R"({"status_code":200,"result":[)" + items + "]}";
}

void wait_for_bytes(const bench::Tally& tally, std::uint64_t bytes) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (tally.bytes < bytes) {
    if (std::chrono::steady_clock::now() > end)
      throw std::runtime_error("the subscribers did not get everything in 60 s");
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
}

void wait_for_subscribers(const bench::Clients& clients, std::size_t count) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (clients.tally().subscribed < count && !clients.tally().failed) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("not everybody was subscribed within 120 s");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (clients.tally().failed) throw std::runtime_error("a subscriber could not connect, or lost its connection");
}

void send_raw(const std::vector<int>& sockets, const std::string& bytes) {
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

// Another server, and those who are subscribed there.
struct Rival {
  bench::Peer::Kind kind;
  std::unique_ptr<bench::Clients> clients;
  std::unique_ptr<bench::Peer> server;
};

bench::Subscribing subscribing(const Options& options) {
  const bool one = options.channels == 1;
  const std::string params = one ? "" : R"("params":{"n":"#####"},)";
  bench::Subscribing how =
      options.over == Framing::sse
          ? bench::event_stream("/channels/" + options.fetcher + (one ? "" : "?n=#####"))
          : bench::websocket(
                "/channels",
                R"({"action":"subscribe","channel":")" + options.fetcher + "\"," + params + R"("snapshot":false})",
                options.over == Framing::websocket_deflate ? "permessage-deflate" : "");
  how.channels = options.channels;
  how.tls = options.tls;
  return how;
}

struct Figure {
  std::string who;
  std::vector<double> cost;   // µs of CPU for each delivered message, by round
  std::vector<double> waits;  // ms until the last subscriber had read all of it
  std::vector<double> serving;
  std::vector<double> ratios;  // to the raw loop of the same round
};

struct Figures {
  std::size_t burst = 0;
  std::size_t message = 0;
  std::vector<Figure> servers;
};

struct Round {
  double cost = 0;
  double wait = 0;
  double serving = 0;  // of the cost, that of the serve threads; restream's alone
};

// From now until the subscribers have read so many bytes more.
class Stopwatch {
 public:
  explicit Stopwatch(const bench::Clients& clients) : clients_(clients), before_(clients.tally().bytes) {}
  double wait_for(std::uint64_t bytes) const {
    wait_for_bytes(clients_.tally(), before_ + bytes);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  const bench::Clients& clients_;
  std::uint64_t before_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// A subscriber that only reads acknowledges what it got up to 40 ms later, from a timer on the sender's CPU: in the
// time of whoever sends then.
void let_timers_run_out() { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }

Round round_of(const Rival& rival, std::size_t burst, std::size_t size, std::size_t subscribers) {
  const std::string message(size, 'x');
  let_timers_run_out();
  const Stopwatch watch(*rival.clients);
  const double start = rival.server->cpu_seconds();
  for (std::size_t i = 0; i < burst; ++i) rival.server->publish(message);
  const double wait = watch.wait_for(bench::Peer::framed(size) * burst * subscribers);
  return {(rival.server->cpu_seconds() - start) / static_cast<double>(burst * subscribers) * 1e6, wait};
}

Figures measure(bench::Bed& bed, bench::Clients& clients, const std::vector<int>& sockets,
                const std::vector<Rival>& rivals, std::size_t burst, const Options& options) {
  Figures all{.burst = burst, .message = 0, .servers = {{.who = "restream"}}};
  if (!options.tls) all.servers.insert(all.servers.begin(), {.who = "raw send()"});
  for (const Rival& rival : rivals) all.servers.push_back({.who = std::string(bench::Peer::name(rival.kind))});
  const double messages = static_cast<double>(burst * sockets.size());
  const std::uint64_t so_far = clients.tally().bytes;
  Frames bytes = bed.publish(result_of(burst, options.size));
  wait_for_bytes(clients.tally(), so_far + bytes->size() * sockets.size());
  const auto send_by_raw = [&] {
    let_timers_run_out();
    const Stopwatch watch(clients);
    const double start = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    send_raw(sockets, *bytes);
    const double took = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    return Round{took / messages * 1e6, watch.wait_for(bytes->size() * sockets.size())};
  };
  const auto send_by_restream = [&] {
    let_timers_run_out();
    // This thread only hands in the result and waits: its own time is no part of the server's.
    const auto server = [] { return cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_seconds(CLOCK_THREAD_CPUTIME_ID); };
    const Stopwatch watch(clients);
    const double serving = serving_seconds();
    const double start = server();
    bytes = bed.publish(result_of(burst, options.size));
    const double wait = watch.wait_for(bytes->size() * sockets.size());
    return Round{(server() - start) / messages * 1e6, wait, (serving_seconds() - serving) / messages * 1e6};
  };
  auto heard = std::chrono::steady_clock::now();
  // The first round warms up and is not counted.
  for (std::size_t round = 0; round <= options.rounds; ++round) {
    if (const auto now = std::chrono::steady_clock::now(); now - heard > std::chrono::seconds(10)) {
      heard = now;
      if (options.over != Framing::sse) clients.send_heartbeats();
      std::this_thread::sleep_for(std::chrono::milliseconds(500));  // no part of a round
    }
    std::vector<Round> costs(options.tls ? 1 : 2);
    const bool raw_first = round % 2 == 1;
    if (!options.tls && raw_first) costs.front() = send_by_raw();
    costs.back() = send_by_restream();
    if (!options.tls && !raw_first) costs.front() = send_by_raw();
    all.message = bytes->size() / burst;
    for (const Rival& rival : rivals) costs.push_back(round_of(rival, burst, options.size, sockets.size()));
    if (round == 0) continue;
    for (std::size_t i = 0; i < costs.size(); ++i) {
      all.servers[i].cost.push_back(costs[i].cost);
      all.servers[i].waits.push_back(costs[i].wait);
      all.servers[i].serving.push_back(costs[i].serving);
      all.servers[i].ratios.push_back(costs[i].cost / costs.front().cost);
    }
  }
  return all;
}

// How long bursts of 1 take to reach the last subscriber, alone and while others connect and subscribe to a channel of
// their own. At one pace, so that the server has time for both: back to back the one would always be behind the other.
void measure_storm(bench::Bed& bed, const bench::Clients& clients, bench::Clients& storm, const Options& options) {
  using Clock = std::chrono::steady_clock;
  std::chrono::duration<double, std::milli> pace{0};
  const auto round = [&] {
    const auto start = Clock::now();
    const Stopwatch watch(clients);
    const Frames bytes = bed.publish(result_of(1, options.size));
    const double took = watch.wait_for(bytes->size() * options.subscribers);
    std::this_thread::sleep_until(start + std::chrono::duration_cast<Clock::duration>(pace));
    return took;
  };
  std::vector<double> alone;
  for (std::size_t i = 0; i < 5; ++i) alone.push_back(round());
  pace = decltype(pace)(3 * median(alone));
  alone.clear();
  for (std::size_t i = 0; i < options.rounds; ++i) alone.push_back(round());
  std::vector<double> beside;
  const auto start = Clock::now();
  storm.connect(bed.port());
  while (storm.tally().subscribed < options.storm && !storm.tally().failed) {
    beside.push_back(round());
    if (Clock::now() - start > std::chrono::seconds(120))
      throw std::runtime_error("of the storm " + std::to_string(storm.tally().subscribed) + " were there after 120 s");
  }
  const std::chrono::duration<double> took = Clock::now() - start;
  if (storm.tally().failed) throw std::runtime_error("a client of the storm could not connect");
  std::printf(
      options.json
          ? R"({"storm":%zu,"seconds":%.2f,"rounds":%zu,"last_ms_alone":%.1f,"last_ms_beside":%.1f,"worst_alone":%.1f,"worst_beside":%.1f})"
            "\n"
          : "\n%zu clients connected in %.2f s, during %zu bursts: the last subscriber after %.1f ms "
            "alone, %.1f ms beside them (medians; worst %.1f and %.1f)\n",
      options.storm, took.count(), beside.size(), median(alone), median(beside), std::ranges::max(alone),
      std::ranges::max(beside));
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--json" || name == "--peers") {
      (name == "--json" ? options.json : options.peers) = true;
      continue;
    }
    if (name == "--over" && i + 1 < argc) {
      const std::string over = argv[++i];
      options.tls = over == "tls";
      options.over = over == "sse" ? Framing::sse : over == "deflate" ? Framing::websocket_deflate : Framing::websocket;
      continue;
    }
    const std::size_t value = i + 1 < argc ? std::strtoul(argv[++i], nullptr, 10) : 0;
    if (name == "--subscribers" && value > 0)
      options.subscribers = value;
    else if (name == "--rounds" && value > 0)
      options.rounds = value;
    else if (name == "--size" && value > 0)
      options.size = value;
    else if (name == "--channels" && value > 0 && value <= 99'999)
      options.channels = value;
    else if (name == "--threads" && value > 0)
      options.threads = value;
    else if (name == "--storm" && value > 0)
      options.storm = value;
    else {
      std::fprintf(stderr,
                   "usage: bench-fanout [--subscribers 2000] [--channels 1] [--threads 1] [--rounds 20] [--size 500] "
                   "[--over websocket|deflate|sse|tls] [--storm N] [--peers] [--json]\n");
      std::exit(2);
    }
  }
  return options;
}

void print(const std::vector<Figures>& all, const Options& options) {
  if (options.json) {
    for (const Figures& one : all)
      for (const Figure& server : one.servers)
        std::printf(
            R"({"server":"%s","subscribers":%zu,"burst":%zu,"message_bytes":%zu,"us":%.3f,"ratio":%.3f,"serving_us":%.3f,"last_ms_p50":%.1f,"last_ms_p99":%.1f})"
            "\n",
            server.who.c_str(), options.subscribers, one.burst, one.message, median(server.cost), median(server.ratios),
            median(server.serving), median(server.waits), percentile(server.waits, 99));
    return;
  }
  std::printf("%zu subscribers, %zu rounds; server CPU in µs for each delivered message, medians\n\n",
              options.subscribers, options.rounds);
  std::printf("%8s %14s  %-12s %10s %10s %12s %18s %8s\n", "burst", "message bytes", "server", "us", "to raw",
              "of it serving", "last after ms, p50", "p99");
  for (const Figures& one : all)
    for (const Figure& server : one.servers)
      std::printf("%8zu %14zu  %-12s %10.2f %10.2f %12.2f %18.1f %8.1f\n", one.burst, one.message, server.who.c_str(),
                  median(server.cost), median(server.ratios), median(server.serving), median(server.waits),
                  percentile(server.waits, 99));
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  std::string directory = (std::filesystem::temp_directory_path() / "restream-bench-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return 1;
  int code = 0;
  try {
    bench::Clients clients(options.subscribers, subscribing(options));
    std::optional<bench::Clients> storm;
    if (options.storm > 0) {
      Options apart = options;
      apart.fetcher = "storm";
      bench::Subscribing how = subscribing(apart);
      how.yields = true;
      storm.emplace(options.storm, how);
    }
    std::vector<Rival> rivals;
    if (options.peers) {
      for (const auto kind : {bench::Peer::Kind::nchan, bench::Peer::Kind::pushpin})
        rivals.push_back({.kind = kind,
                          .clients = std::make_unique<bench::Clients>(
                              options.subscribers, bench::websocket(std::string(bench::Peer::path(kind)), "")),
                          .server = nullptr});
    }
    if (options.threads == 1) bench::run_on(0);
    for (Rival& rival : rivals) {
      rival.server =
          std::make_unique<bench::Peer>(rival.kind, std::filesystem::path(directory) / bench::Peer::name(rival.kind));
      rival.clients->connect(rival.server->port());
      wait_for_subscribers(*rival.clients, options.subscribers);
    }
    bench::Bed bed(directory, {.over = options.over,
                               .channels = options.channels,
                               .threads = static_cast<unsigned>(options.threads),
                               .certificate = options.tls ? bench::make_certificate(directory) : ""});
    const double empty = anonymous_memory();
    clients.connect(bed.port());
    wait_for_subscribers(clients, options.subscribers);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // statuses that follow the snapshots
    const double memory = anonymous_memory() - empty;
    const std::vector<int> sockets = server_sockets(bed.port());
    if (sockets.size() != options.subscribers) throw std::runtime_error("not every subscriber has a socket here");
    std::vector<Figures> all;
    for (const std::size_t burst : {std::size_t{1}, std::size_t{25}})
      all.push_back(measure(bed, clients, sockets, rivals, burst, options));
    print(all, options);
    const auto subscribers = static_cast<double>(options.subscribers);
    std::printf(options.json ? R"({"memory_per_idle_subscriber":%.0f})"
                               "\n"
                             : "\n%.0f bytes of the server's memory for each idle subscriber\n",
                memory / subscribers);
    if (storm) measure_storm(bed, clients, *storm, options);
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "bench-fanout: %s\n", fault.what());
    code = 1;
  }
  std::filesystem::remove_all(directory);
  return code;
}
