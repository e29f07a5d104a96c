#include "fanout_bed.hpp"

#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "channel/hub.hpp"
#include "measure.hpp"
#include "processes.hpp"
#include "serve/server.hpp"
#include "serve/tls.hpp"
#include "store/sqlite_store.hpp"

namespace bench {

using namespace restream;

namespace {

std::unique_ptr<Store> open(const std::filesystem::path& directory) {
  auto store = open_sqlite_store(directory);
  if (!store) throw std::runtime_error(store.error().message);
  return std::move(*store);
}

ServerOptions server_options(const BedOptions& bed) {
  ServerOptions options;
  options.port = 0;
  options.threads = bed.threads;
  options.connections = 40'000;
  options.connections_per_address = options.connections;
  options.compression = true;  // for those who ask for it
  return options;
}

// All subscribers are of one address here.
HubLimits hub_limits() {
  HubLimits limits;
  limits.channels = 40'000;
  limits.channels_per_address = limits.channels;
  return limits;
}

HubHooks hooks() {
  HubHooks hooks;
  hooks.resolve = [](const std::string& fetcher, const Params& params) {
    return std::expected<ChannelId, FeedError>(make_channel_id(fetcher, params));
  };
  hooks.want = [](const ChannelId&, const Schedule&, bool) {};
  hooks.unwant = [](const ChannelId&) {};
  hooks.describe_fetchers = [](const std::optional<std::string>&) { return Document{}; };
  hooks.readiness = [] { return Readiness{true, {}}; };
  return hooks;
}

}  // namespace

namespace {

struct Inner {
  Inner(const std::filesystem::path& directory, const BedOptions& options)
      : channels(options.channels),
        store(open(directory)),
        hub(surroundings(), hub_limits(), {}, hooks()),
        server(server_options(options), real_clock(), Log::none()) {
    if (!options.certificate.empty()) {
      auto tls = TlsContext::load(options.certificate, options.certificate);
      if (!tls) throw std::runtime_error(tls.error());
      server.set_tls(std::move(*tls));
    }
    std::vector<ServeThread> threads = server.threads();
    // A serve thread of our own, which only looks: it tells the bytes that each subscriber is sent.
    const auto tap = static_cast<ServeNumber>(threads.size());
    const Form form{.framing = options.over};
    threads.push_back(
        {.announce = [this, form](std::shared_ptr<const Announcement> one) { tapped = one->frames.at(form.index()); },
         .announce_status = [](const StatusAnnouncement&) {}});
    hub.serve_on(std::move(threads));
    if (auto started = server.start(hub.feed()); !started) throw std::runtime_error(started.error());
    core = std::thread([this] { io.run(); });
    hub.feed().attach(
        {.serve = tap, .fetcher = "bench-list", .params = params_of(0), .since = {}, .form = form, .visitor = {}},
        [](const auto&) {});
  }
  ~Inner() {
    io.stop();
    core.join();
  }
  Inner(const Inner&) = delete;
  Inner& operator=(const Inner&) = delete;

  Hub::Surroundings surroundings() {
    CoreLoop loop;
    loop.post = [this](std::move_only_function<void()> work) { boost::asio::post(io, std::move(work)); };
    loop.at = [](SteadyTime, std::move_only_function<void()>) {};  // nothing here waits for time
    return {.loop = loop, .clock = real_clock(), .draw_epoch = [] { return 1U; }, .store = store, .log = Log::none()};
  }
  static Params params_of(std::size_t channel) {
    const std::string digits = std::to_string(channel);
    return {{"name", std::string(5 - std::min<std::size_t>(5, digits.size()), '0') + digits}};
  }
  void commit_all(const std::string& result) {
    for (std::size_t i = 0; i < channels; ++i) {
      hub.commit(make_channel_id("bench-list", params_of(i)), rules, std::string(result), Schedule{},
                 [this](const PollOutcome& outcome) {
                   if (outcome.kind != PollOutcome::Kind::committed) std::abort();
                   const std::lock_guard held(mutex);
                   if (--open_polls == 0) changed.notify_one();
                 });
    }
  }

  Frames publish(const std::string& items) {
    const std::string result = R"({"status_code":200,"result":)" + items + "}";
    std::unique_lock lock(mutex);
    open_polls = channels;
    boost::asio::post(io, [this, &result] { commit_all(result); });
    changed.wait(lock, [this] { return open_polls == 0; });
    return tapped;
  }

  std::size_t channels;
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> busy{io.get_executor()};
  StoreThread store;
  Hub hub;
  Server server;
  std::shared_ptr<const CommitRules> rules =
      std::make_shared<const CommitRules>(CommitRules{.diff = {.id_field = "id", .ignore = {}, .unordered = {}}});
  Frames tapped;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t open_polls = 0;  // GUARDED_BY(mutex)
  std::thread core;
};

}  // namespace

std::vector<int> connected_to(std::uint16_t port, const std::vector<int>& descriptors) {
  std::vector<int> found;
  for (const int fd : descriptors)
    if (local_port(fd) == port && peer_port(fd) != 0) found.push_back(fd);
  return found;
}

Bed inner_bed(const std::filesystem::path& directory, const BedOptions& options) {
  const auto inner = std::make_shared<Inner>(directory, options);
  const std::uint16_t port = inner->server.port();
  return {.port = port,
          .settle = [] {},
          .publish = [inner](const std::string& items, std::size_t) { return inner->publish(items); },
          .cpu_seconds = [] { return cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_seconds(CLOCK_THREAD_CPUTIME_ID); },
          .serving_seconds = [] { return serving_seconds(getpid()); },
          .memory = [] { return anonymous_memory(getpid()); },
          .sockets =
              [port] {
                std::vector<int> all;
                for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
                  all.push_back(std::atoi(entry.path().filename().c_str()));
                return connected_to(port, all);
              }};
}

}  // namespace bench
