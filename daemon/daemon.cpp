#include "daemon.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "channel/hub.hpp"
#include "channel/store_thread.hpp"
#include "http/cache.hpp"
#include "http/http_client.hpp"
#include "serve/server.hpp"

namespace restream {

namespace {

constexpr std::size_t cache_bytes = 64U << 20U;  // of answers that are asked for again conditionally
constexpr Millis drain_time{3000};               // over which subscribers are sent away
constexpr Millis drain_limit{8000};              // after which those who are left are cut off

CoreLoop loop_of(boost::asio::io_context& io) {
  CoreLoop loop;
  loop.post = [&io](std::move_only_function<void()> work) { boost::asio::post(io, std::move(work)); };
  loop.at = [&io](SteadyTime due, std::move_only_function<void()> work) {
    const auto timer = std::make_shared<boost::asio::steady_timer>(io, due);
    timer->async_wait([timer, work = std::move(work)](const boost::system::error_code& failed) mutable {
      if (!failed) work();
    });
  };
  return loop;
}

std::uint64_t random_number() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32U) | device();
}

PollVerdict verdict_of(const PollOutcome& outcome) {
  const auto kind = [&] {
    switch (outcome.kind) {
      case PollOutcome::Kind::committed:
        return PollVerdict::Kind::committed;
      case PollOutcome::Kind::api_error:
        return PollVerdict::Kind::api_error;
      case PollOutcome::Kind::bad_result:
        return PollVerdict::Kind::bad_result;
      case PollOutcome::Kind::store_failed:
        break;
    }
    return PollVerdict::Kind::store_failed;
  }();
  return {.kind = kind, .status = outcome.status, .problem = outcome.problem};
}

std::vector<std::string> secrets_in(const KeyValues& keys) {
  std::vector<std::string> out;
  for (const auto& [fetcher, values] : keys)
    for (const auto& [name, value] : values) out.push_back(value);
  return out;
}

}  // namespace

struct Daemon::Impl {
  Impl(Config given, const std::filesystem::path& host, const std::string& version, std::unique_ptr<Store> store,
       const KeyedHash& given_hash, KeyValues key_values, ReadKeys reader, Log given_log)
      : config(std::move(given)),
        hash(given_hash),
        log(std::move(given_log)),
        read_keys(std::move(reader)),
        records(store->channels()),
        spent(store->quotas()),
        http(http_options(), clock),
        store_thread(std::move(store)),
        quota_book({.loop = loop, .clock = clock, .write = quota_writer()}, std::move(spent)),
        hub({.loop = loop, .clock = clock, .draw_epoch = random_number, .store = store_thread, .log = log},
            {.channels = config.limits.channels,
             .channels_per_address = config.limits.channels_per_address,
             .forget = config.state.forget},
            std::move(records), hub_hooks()),
        fetchers(
            {.io = io, .loop = loop, .clock = clock, .random = [this] { return draw(); }, .http = http, .log = log},
            config, host, fetcher_hooks()),
        server(server_options(version), clock, log) {
    log.set_secrets(secrets_in(key_values));
    first_keys = std::move(key_values);
  }

  // --- how the rooms are joined ---------------------------------------------------------------------------------

  HubHooks hub_hooks() {
    HubHooks hooks;
    hooks.resolve = [this](const std::string& name,
                           const Params& params) -> std::optional<std::expected<ChannelId, FeedError>> {
      const Fetcher* fetcher = fetchers.find(name);
      if (fetcher == nullptr)
        return std::unexpected(FeedError{"unknown_channel", "there is no fetcher '" + name.substr(0, 64) +
                                                                "'; GET /fetchers lists those there are"});
      if (!fetcher->settled()) return std::nullopt;
      auto id = fetcher->resolve(params);
      if (!id) return std::unexpected(FeedError{std::move(id.error().code), std::move(id.error().message)});
      return std::move(*id);
    };
    hooks.want = [this](const ChannelId& id, const Schedule& known) {
      if (Fetcher* fetcher = fetchers.find(id.fetcher)) fetcher->want(id, known);
    };
    hooks.unwant = [this](const ChannelId& id) {
      if (Fetcher* fetcher = fetchers.find(id.fetcher)) fetcher->unwant(id.text);
    };
    hooks.demand = [this](const ChannelId& id, std::size_t count) {
      if (Fetcher* fetcher = fetchers.find(id.fetcher)) fetcher->set_subscribers(id.text, count);
    };
    hooks.describe_fetchers = [this](const std::optional<std::string>& name) -> Document {
      if (auto text = fetchers.describe(name)) return {.status = 200, .json = std::move(*text), .etag = {}};
      return {
          .status = 404,
          .json =
              R"({"type":"error","code":"unknown_channel","message":"there is no such fetcher; GET /fetchers lists those there are"})",
          .etag = {}};
    };
    hooks.readiness = [this]() -> Readiness {
      if (draining) return {false, "shutting down"};
      if (!fetchers.settled()) return {false, "plugins are being loaded"};
      return {true, {}};
    };
    return hooks;
  }

  FetcherHooks fetcher_hooks() {
    FetcherHooks hooks;
    hooks.polled = [this](Polled polled) {
      auto rules = rules_of(polled.channel.fetcher, *polled.metadata);
      auto done = [this, id = polled.channel, schedule = polled.schedule](const PollOutcome& outcome) {
        if (outcome.skipped > 0 || outcome.repeated > 0)
          log.warning("a poll's result held items without an id, or ids twice",
                      {{"channel", id.text},
                       {"skipped", std::to_string(outcome.skipped)},
                       {"repeated", std::to_string(outcome.repeated)}});
        if (Fetcher* fetcher = fetchers.find(id.fetcher)) fetcher->finished(id.text, schedule, verdict_of(outcome));
      };
      hub.commit(polled.channel, std::move(rules), std::move(polled.result), polled.schedule, std::move(done));
    };
    hooks.status = [this](const ChannelId& id, const Status& status, bool transition) {
      hub.set_status(id, status, transition);
    };
    hooks.keep = [this](const ChannelId& id, const Schedule& schedule) { hub.keep(id, schedule); };
    hooks.idle = [this](const ChannelId& id) { hub.idle(id); };
    hooks.join_quota = [this] { return quota_book.join(); };
    hooks.name_credential = [this](const std::string& secret) { return hash.name(secret); };
    hooks.settled = [this] {
      pin_channels();
      hub.fetcher_settled();
    };
    return hooks;
  }

  std::function<void(QuotaRecord, std::function<void(bool)>)> quota_writer() {
    return [this](QuotaRecord record, std::function<void(bool)> done) {
      store_thread.spend(std::move(record), [this, done = std::move(done)](bool written) {
        loop.post([done, written] { done(written); });
      });
    };
  }

  // Made once for each fetcher: the committer takes the same rules as a sign that nothing about them has changed.
  std::shared_ptr<const CommitRules> rules_of(const std::string& fetcher, const Metadata& metadata) {
    std::shared_ptr<const CommitRules>& rules = commit_rules[fetcher];
    if (!rules)
      rules = std::make_shared<const CommitRules>(CommitRules{
          .diff = {.id_field = metadata.id_field, .ignore = metadata.ignore, .unordered = metadata.unordered},
          .complete = metadata.complete,
          .keep_events = config.state.events,
          .events_age = config.state.events_age});
    return rules;
  }

  void pin_channels() {
    for (const auto& [name, settings] : config.fetchers)
      for (const auto& params : settings.pinned) {
        const Fetcher* fetcher = fetchers.find(name);
        if (fetcher == nullptr || !fetcher->metadata()) continue;
        if (auto id = fetcher->resolve(params)) {
          hub.pin(*id);
        } else {
          log.error("a pinned channel is refused", {{"fetcher", name}, {"reason", id.error().message}});
        }
      }
  }

  [[nodiscard]] HttpOptions http_options() const {
    return {.proxy = config.http.proxy.value_or(""),
            .ca_file = config.http.ca_file.value_or("").string(),
            .user_agent = config.http.user_agent,
            .requests_per_origin = config.http.requests_per_origin,
            .body = config.http.body,
            .cache = std::make_shared<HttpCache>(config.state.directory / "cache", hash, cache_bytes)};
  }

  [[nodiscard]] ServerOptions server_options(const std::string& version) const {
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    ServerOptions options;
    options.address = config.listen.address;
    options.port = config.listen.port;
    options.threads = config.listen.threads == 0 ? cores : config.listen.threads;
    options.origins = config.listen.origins;
    options.connections = config.limits.connections;
    options.connections_per_address = config.limits.connections_per_address;
    options.subscriptions_per_connection = config.limits.subscriptions_per_connection;
    options.message_size = config.limits.message_size;
    options.send_queue = config.limits.send_queue;
    options.version = version;
    return options;
  }

  // --- life ---------------------------------------------------------------------------------------------------------

  std::expected<void, std::string> run() {
    // Signals come by way of the loop; a broken pipe is an error value where it happens.
    std::signal(SIGPIPE, SIG_IGN);
    wait_for_signal();
    if (auto started = fetchers.start(); !started) return started;
    fetchers.set_keys(std::exchange(first_keys, {}));
    hub.serve_on(server.threads());
    if (auto started = server.start(hub.feed()); !started) return started;
    log.info("listening", {{"address", address_text()}});
    io.run();
    quota_book.close();
    return {};
  }

  [[nodiscard]] std::string address_text() const {
    const bool v6 = config.listen.address.find(':') != std::string::npos;
    return (v6 ? "[" + config.listen.address + "]" : config.listen.address) + ":" + std::to_string(server.port());
  }

  void wait_for_signal() {
    signals.async_wait([this](const boost::system::error_code& failed, int signal) {
      if (failed) return;
      if (signal == SIGHUP) {
        reload_keys();
      } else if (std::exchange(draining, true)) {
        log.warning("second signal: stopping at once");
        io.stop();
        return;
      } else {
        drain();
      }
      wait_for_signal();
    });
  }

  void reload_keys() {
    auto keys = read_keys();
    if (!keys) return log.error("the keystore cannot be read; the keys stay as they were", {{"reason", keys.error()}});
    log.set_secrets(secrets_in(*keys));
    fetchers.set_keys(*keys);
    log.info("keys read anew; the configuration is read at the start only");
  }

  void drain() {
    log.info("shutting down: no new requests, subscribers are sent away");
    server.drain(drain_time, [this] { boost::asio::post(io, [this] { io.stop(); }); });
    loop.at(clock.steady() + drain_limit, [this] { io.stop(); });
  }

  double draw() { return std::uniform_real_distribution<double>(0.0, 1.0)(engine); }

  // In the order data flows; destroyed from the last to the first. The loop outlives all, because threads post to it
  // until they are joined.
  boost::asio::io_context io{1};
  boost::asio::signal_set signals{io, SIGTERM, SIGINT, SIGHUP};
  CoreLoop loop = loop_of(io);
  Clock clock = real_clock();
  std::mt19937_64 engine{random_number()};
  Config config;
  KeyedHash hash;
  Log log;
  ReadKeys read_keys;
  KeyValues first_keys;  // until the fetchers have them
  std::vector<ChannelRecord> records;
  std::vector<QuotaRecord> spent;
  bool draining = false;
  std::map<std::string, std::shared_ptr<const CommitRules>> commit_rules;
  HttpClient http;
  StoreThread store_thread;
  QuotaBook quota_book;
  Hub hub;
  Fetchers fetchers;
  Server server;
};

Daemon::Daemon(Config config, std::filesystem::path host, std::string version, std::unique_ptr<Store> store,
               const KeyedHash& hash, KeyValues keys, ReadKeys read_keys, Log log)
    : impl_(std::make_unique<Impl>(std::move(config), host, version, std::move(store), hash, std::move(keys),
                                   std::move(read_keys), std::move(log))) {}
Daemon::~Daemon() = default;
std::expected<void, std::string> Daemon::run() { return impl_->run(); }

}  // namespace restream
