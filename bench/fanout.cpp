// What one event costs the server for each subscriber, beside the least that the kernel allows.
//
//   build/release/bench/bench-fanout [--subscribers 2000] [--rounds 20] [--size 500] [--json]
//
// In one run, over the same sockets, in turns:
//   restream   a poll's result -> diff -> commit (SQLite, a real file) -> frames -> serve thread -> sockets
//   raw        a loop that calls send() with the same bytes, framed beforehand
// Printed is the CPU time (user and system, of the server without this measuring thread) for each delivered message,
// the median of all rounds, for bursts of 1 and of 25 events. The subscribers are another process; its CPU time is not
// counted.
#include "fanout_clients.hpp"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "channel/hub.hpp"
#include "serve/server.hpp"
#include "store/sqlite_store.hpp"

namespace {

using namespace restream;

struct Options {
  std::size_t subscribers = 2000;
  std::size_t rounds = 20;
  std::size_t size = 500;  // of a message, without its frame
  bool json = false;
};

// `who`: RUSAGE_SELF for all threads, RUSAGE_THREAD for the calling one.
double cpu_seconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.at(values.size() / 2);
}

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

// restream without plugins and HTTP: results are handed to the hub as a plugin would have answered them.
class Bed {
 public:
  explicit Bed(const std::filesystem::path& directory)
      : store_(open(directory)),
        hub_(surroundings(), {}, {}, hooks()),
        server_(server_options(), real_clock(), Log::none()) {
    std::vector<ServeThread> threads = server_.threads();
    // A serve thread of our own, which only looks: it tells the bytes that each subscriber is sent.
    tap_ = static_cast<ServeNumber>(threads.size());
    threads.push_back({.announce = [this](std::shared_ptr<const Announcement> one) { tapped_ = one->frames.at(0); },
                       .announce_status = [](const StatusAnnouncement&) {}});
    hub_.serve_on(std::move(threads));
    if (auto started = server_.start(hub_.feed()); !started) throw std::runtime_error(started.error());
    core_ = std::thread([this] { io_.run(); });
    hub_.feed().attach(
        {.serve = tap_, .fetcher = "bench", .params = {}, .since = {}, .deliver = Deliver::both, .address = {}},
        [](const auto&) {});
  }
  ~Bed() {
    io_.stop();
    core_.join();
  }
  Bed(const Bed&) = delete;
  Bed& operator=(const Bed&) = delete;

  [[nodiscard]] std::uint16_t port() const { return server_.port(); }

  // Commits and publishes; comes back with the bytes that every subscriber is being sent.
  Frames publish(std::string result) {
    std::unique_lock lock(mutex_);
    done_ = false;
    boost::asio::post(io_, [this, result = std::move(result)]() mutable {
      hub_.commit(make_channel_id("bench", {}), rules_, std::move(result), Schedule{},
                  [this](const PollOutcome& outcome) {
                    if (outcome.kind != PollOutcome::Kind::committed) std::abort();
                    const std::lock_guard held(mutex_);
                    done_ = true;
                    changed_.notify_one();
                  });
    });
    changed_.wait(lock, [this] { return done_; });
    return tapped_;
  }

 private:
  static std::unique_ptr<Store> open(const std::filesystem::path& directory) {
    auto store = open_sqlite_store(directory);
    if (!store) throw std::runtime_error(store.error().message);
    return std::move(*store);
  }
  static ServerOptions server_options() {
    ServerOptions options;
    options.port = 0;
    options.connections_per_address = options.connections;
    return options;
  }
  Hub::Surroundings surroundings() {
    CoreLoop loop;
    loop.post = [this](std::move_only_function<void()> work) { boost::asio::post(io_, std::move(work)); };
    loop.at = [](SteadyTime, std::move_only_function<void()>) {};  // nothing here waits for time
    return {.loop = loop, .clock = real_clock(), .draw_epoch = [] { return 1U; }, .store = store_, .log = Log::none()};
  }
  static HubHooks hooks() {
    HubHooks hooks;
    hooks.resolve = [](const std::string& fetcher, const Params& params) {
      return std::expected<ChannelId, FeedError>(make_channel_id(fetcher, params));
    };
    hooks.want = [](const ChannelId&, const Schedule&) {};
    hooks.unwant = [](const ChannelId&) {};
    hooks.describe_fetchers = [](const std::optional<std::string>&) { return Document{}; };
    hooks.readiness = [] { return Readiness{true, {}}; };
    return hooks;
  }

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  StoreThread store_;
  Hub hub_;
  Server server_;
  std::shared_ptr<const CommitRules> rules_ =
      std::make_shared<const CommitRules>(CommitRules{.diff = {.id_field = "id", .ignore = {}, .unordered = {}}});
  ServeNumber tap_ = 0;
  Frames tapped_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread core_;
};

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

struct Figures {
  std::size_t burst = 0;
  std::size_t message = 0;
  double restream = 0;  // µs of CPU for each delivered message
  double raw = 0;
  double ratio = 0;  // the median of the rounds' ratios
};

Figures measure(Bed& bed, const bench::Clients& clients, const std::vector<int>& sockets, std::size_t burst,
                const Options& options) {
  std::vector<double> restream_cost;
  std::vector<double> raw_cost;
  std::vector<double> ratios;
  std::size_t message = 0;
  const double messages = static_cast<double>(burst * sockets.size());
  // The first round warms up and is not counted.
  for (std::size_t round = 0; round <= options.rounds; ++round) {
    std::uint64_t before = clients.tally().bytes;
    // This thread only hands in the result and waits: its own time is no part of the server's.
    const auto server = [] { return cpu_seconds(RUSAGE_SELF) - cpu_seconds(RUSAGE_THREAD); };
    double start = server();
    const Frames bytes = bed.publish(result_of(burst, options.size));
    wait_for_bytes(clients.tally(), before + bytes->size() * sockets.size());
    const double ours = (server() - start) / messages * 1e6;
    message = bytes->size() / burst;

    before = clients.tally().bytes;
    start = cpu_seconds(RUSAGE_THREAD);
    send_raw(sockets, *bytes);
    const double least = (cpu_seconds(RUSAGE_THREAD) - start) / messages * 1e6;
    wait_for_bytes(clients.tally(), before + bytes->size() * sockets.size());
    if (round == 0) continue;
    restream_cost.push_back(ours);
    raw_cost.push_back(least);
    ratios.push_back(ours / least);
  }
  return {burst, message, median(restream_cost), median(raw_cost), median(ratios)};
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--json") {
      options.json = true;
      continue;
    }
    const std::size_t value = i + 1 < argc ? std::strtoul(argv[++i], nullptr, 10) : 0;
    if (name == "--subscribers" && value > 0)
      options.subscribers = value;
    else if (name == "--rounds" && value > 0)
      options.rounds = value;
    else if (name == "--size" && value > 0)
      options.size = value;
    else {
      std::fprintf(stderr, "usage: bench-fanout [--subscribers 2000] [--rounds 20] [--size 500] [--json]\n");
      std::exit(2);
    }
  }
  return options;
}

void print(const std::vector<Figures>& all, const Options& options) {
  if (options.json) {
    for (const Figures& one : all)
      std::printf(R"({"subscribers":%zu,"burst":%zu,"message_bytes":%zu,"restream_us":%.3f,"raw_us":%.3f,"ratio":%.3f})"
                  "\n",
                  options.subscribers, one.burst, one.message, one.restream, one.raw, one.ratio);
    return;
  }
  std::printf("%zu subscribers, %zu rounds; server CPU in µs for each delivered message, medians\n\n",
              options.subscribers, options.rounds);
  std::printf("%8s %14s %12s %12s %16s\n", "burst", "message bytes", "restream", "raw send()", "restream / raw");
  for (const Figures& one : all)
    std::printf("%8zu %14zu %12.2f %12.2f %16.2f\n", one.burst, one.message, one.restream, one.raw, one.ratio);
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
    bench::Clients clients(options.subscribers, R"({"action":"subscribe","channel":"bench"})");
    bench::run_on(0);
    Bed bed(directory);
    clients.connect(bed.port());
    while (clients.tally().subscribed < options.subscribers && !clients.tally().failed)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (clients.tally().failed) throw std::runtime_error("a subscriber could not connect");
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // statuses that follow the snapshots
    const std::vector<int> sockets = server_sockets(bed.port());
    std::vector<Figures> all;
    for (const std::size_t burst : {std::size_t{1}, std::size_t{25}})
      all.push_back(measure(bed, clients, sockets, burst, options));
    print(all, options);
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "bench-fanout: %s\n", fault.what());
    code = 1;
  }
  std::filesystem::remove_all(directory);
  return code;
}
