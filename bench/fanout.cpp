// What one event costs the server for each subscriber, beside the least that the kernel allows.
//
//   build/release/bench/bench-fanout [--subscribers 2000] [--channels 1] [--threads 1] [--rounds 20] [--size 500]
//   [--over websocket|deflate|sse|tls] [--whole] [--storm N] [--peers] [--json]
//
// In one run, over the same sockets, in turns, with restream and the raw loop going first one time each:
//   restream   a poll's result -> diff -> commit (SQLite, a real file) -> frames -> serve thread -> sockets
//              with --whole: the program itself and its fetcher host, and before that the poll: the plugin is called,
//              the API asked over HTTP; time counts from the last byte of the API's answer
//   raw        a loop that calls send() with the same bytes, framed beforehand, in a thread of its own
//   peers      with --peers: nchan and pushpin as Debian packages them, each with as many subscribers of its own, which
//              are published the same messages
// Printed is the CPU time (user and system, of the server without this measuring thread) for each delivered message,
// the median of all rounds, for bursts of 1 and of 25 events; and how long it took until the last subscriber had read
// it. This thread sleeps meanwhile. The subscribers are another process; its CPU time is not counted.
//
// --channels spreads the subscribers over so many channels, each of which has a burst in every round. Over TLS there is
// no raw loop beside it (it would send plain bytes). --storm: bursts of 1 again while N clients connect, subscribe to
// another channel and stay, beside as many bursts just before.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "fanout_bed.hpp"
#include "fanout_clients.hpp"
#include "fanout_rounds.hpp"
#include "measure.hpp"
#include "peers.hpp"

namespace {

using namespace restream;
using bench::median;
using bench::percentile;

struct Options {
  std::size_t subscribers = 2000;
  std::size_t rounds = 20;
  std::size_t size = 500;  // of a message, without its frame
  std::size_t channels = 1;
  std::size_t threads = 1;
  std::size_t storm = 0;
  Framing over = Framing::websocket;
  bool tls = false;
  bool peers = false;
  bool whole = false;
  bool json = false;
};

void wait_for_subscribers(const bench::Clients& clients, std::size_t count) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (clients.tally().subscribed < count && !clients.tally().failed) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("not everybody was subscribed within 120 s");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (clients.tally().failed) throw std::runtime_error("a subscriber could not connect, or lost its connection");
}

// `name`: of the channel; ##### stands for a number.
bench::Subscribing subscribing(const Options& options, const std::string& name) {
  bench::Subscribing how =
      options.over == Framing::sse
          ? bench::event_stream("/channels/bench-list?name=" + name)
          : bench::websocket(
                "/channels",
                R"({"action":"subscribe","channel":"bench-list","params":{"name":")" + name + R"("},"snapshot":false})",
                options.over == Framing::websocket_deflate ? "permessage-deflate" : "");
  how.channels = options.channels;
  how.tls = options.tls;
  return how;
}

[[noreturn]] void refuse(const char* why) {
  std::fprintf(stderr,
               "bench-fanout: %s\nusage: bench-fanout [--subscribers 2000] [--channels 1] [--threads 1] [--rounds 20] "
               "[--size 500] [--over websocket|deflate|sse|tls] [--whole] [--storm N] [--peers] [--json]\n",
               why);
  std::exit(2);
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--json" || name == "--peers" || name == "--whole") {
      (name == "--json" ? options.json : name == "--peers" ? options.peers : options.whole) = true;
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
    else
      refuse(("what is " + name + "?").c_str());
  }
  if (options.whole && (options.channels > 1 || options.storm > 0 || options.tls || options.over != Framing::websocket))
    refuse("--whole is for plain WebSockets on one channel, without --storm");
  return options;
}

void print(const std::vector<bench::Figures>& all, const Options& options) {
  if (options.json) {
    for (const bench::Figures& one : all)
      for (const bench::Figure& server : one.servers)
        std::printf(
            R"({"server":"%s","subscribers":%zu,"burst":%zu,"message_bytes":%zu,"us":%.3f,"ratio":%.3f,"serving_us":%.3f,"last_ms_p50":%.1f,"last_ms_p99":%.1f,"last_ratio":%.3f})"
            "\n",
            server.who.c_str(), options.subscribers, one.burst, one.message, median(server.cost), median(server.ratios),
            median(server.serving), median(server.waits), percentile(server.waits, 99), median(server.wait_ratios));
    return;
  }
  std::printf("%zu subscribers, %zu rounds; server CPU in µs for each delivered message, medians\n\n",
              options.subscribers, options.rounds);
  std::printf("%8s %14s  %-12s %10s %10s %14s %18s %8s %10s\n", "burst", "message bytes", "server", "us", "to raw",
              "of it serving", "last after ms, p50", "p99", "to raw");
  for (const bench::Figures& one : all)
    for (const bench::Figure& server : one.servers)
      std::printf("%8zu %14zu  %-12s %10.2f %10.2f %14.2f %18.1f %8.1f %10.2f\n", one.burst, one.message,
                  server.who.c_str(), median(server.cost), median(server.ratios), median(server.serving),
                  median(server.waits), percentile(server.waits, 99), median(server.wait_ratios));
}

void print(const bench::Storm& storm, const Options& options) {
  std::printf(
      options.json
          ? R"({"storm":%zu,"seconds":%.2f,"rounds":%zu,"last_ms_alone":%.1f,"last_ms_beside":%.1f,"worst_alone":%.1f,"worst_beside":%.1f})"
            "\n"
          : "\n%zu clients connected in %.2f s, during %zu bursts: the last subscriber after %.1f ms "
            "alone, %.1f ms beside them (medians; worst %.1f and %.1f)\n",
      options.storm, storm.seconds, storm.beside.size(), median(storm.alone), median(storm.beside),
      percentile(storm.alone, 100), percentile(storm.beside, 100));
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
    bench::Clients clients(options.subscribers, subscribing(options, "#####"));
    std::optional<bench::Clients> storm;
    if (options.storm > 0) {
      bench::Subscribing how = subscribing(options, "99999");
      how.yields = true;
      storm.emplace(options.storm, how);
    }
    std::vector<bench::Rival> rivals;
    if (options.peers) {
      for (const auto kind : {bench::Peer::Kind::nchan, bench::Peer::Kind::pushpin})
        rivals.push_back({.kind = kind,
                          .clients = std::make_unique<bench::Clients>(
                              options.subscribers, bench::websocket(std::string(bench::Peer::path(kind)), "")),
                          .server = nullptr});
    }
    if (options.threads == 1) bench::run_on(0);
    for (bench::Rival& rival : rivals) {
      rival.server =
          std::make_unique<bench::Peer>(rival.kind, std::filesystem::path(directory) / bench::Peer::name(rival.kind));
      rival.clients->connect(rival.server->port());
      wait_for_subscribers(*rival.clients, options.subscribers);
    }
    const bench::BedOptions bed_options{.over = options.over,
                                        .channels = options.channels,
                                        .threads = static_cast<unsigned>(options.threads),
                                        .certificate = options.tls ? bench::make_certificate(directory) : ""};
    const bench::Bed bed =
        options.whole ? bench::whole_bed(directory, bed_options) : bench::inner_bed(directory, bed_options);
    const double empty = bed.memory();
    clients.connect(bed.port);
    wait_for_subscribers(clients, options.subscribers);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // statuses that follow the snapshots
    const double memory = bed.memory() - empty;
    const std::vector<int> sockets = bed.sockets();
    if (sockets.size() != options.subscribers) throw std::runtime_error("not every subscriber has a socket here");
    const bench::RoundOptions rounds{.rounds = options.rounds,
                                     .size = options.size,
                                     .more = options.whole ? 1U : 0U,
                                     .raw = !options.tls,
                                     .heartbeats = options.over != Framing::sse};
    std::vector<bench::Figures> all;
    for (const std::size_t burst : {std::size_t{1}, std::size_t{25}})
      all.push_back(bench::measure(bed, clients, sockets, rivals, burst, rounds));
    print(all, options);
    std::printf(options.json ? R"({"memory_per_idle_subscriber":%.0f})"
                               "\n"
                             : "\n%.0f bytes of the server's memory for each idle subscriber\n",
                memory / static_cast<double>(options.subscribers));
    if (storm) print(bench::measure_storm(bed, clients, *storm, options.storm, options.subscribers, rounds), options);
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "bench-fanout: %s\n", fault.what());
    code = 1;
  }
  std::filesystem::remove_all(directory);
  return code;
}
