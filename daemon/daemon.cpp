#include "daemon.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <map>
#include <random>
#include <utility>

#include "asio_loop.hpp"
#include "backup.hpp"
#include "channel/hub.hpp"
#include "channel/store_thread.hpp"
#include "config/tokens.hpp"
#include "control/control_server.hpp"
#include "fetch/fetchers.hpp"
#include "http/cache.hpp"
#include "http/http_client.hpp"
#include "metrics_page.hpp"
#include "operator.hpp"
#include "ops/service_manager.hpp"
#include "options.hpp"
#include "poll_verdict.hpp"
#include "reloading.hpp"
#include "serve/server.hpp"
#include "serve/tls.hpp"
#include "status_page.hpp"

namespace restream {

namespace {

constexpr Millis drain_time{3000};  // over which subscribers are sent away
constexpr Millis settle_look{50};
constexpr Millis status_every{10000};
constexpr Millis keys_look{2000};                // how often the keystore is looked at for changes
constexpr Millis drain_limit{8000};              // after which those who are left are cut off
constexpr Millis store_patience{1000};           // after that, for the polls that still wait to be written
constexpr std::size_t cache_bytes = 64U << 20U;  // of answers that are asked for again conditionally

std::uint64_t random_number() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32U) | device();
}

}  // namespace

struct Daemon::Impl {
  Impl(Config given, std::filesystem::path given_file, const std::filesystem::path& host, std::string given_version,
       std::unique_ptr<Store> store, const KeyedHash& given_hash, Keyring given_keyring, KeyValues key_values,
       Log given_log)
      : config(std::move(given)),
        config_file(std::move(given_file)),
        version(std::move(given_version)),
        hash(given_hash),
        log(std::move(given_log)),
        keyring(std::move(given_keyring)),
        records(store->channels()),
        spent(store->quotas()),
        http(http_options(config, http_cache), clock),
        store_thread(std::move(store)),
        quota_book({.loop = loop, .clock = clock, .write = quota_writer()}, std::move(spent)),
        hub({.loop = loop, .clock = clock, .draw_epoch = random_number, .store = store_thread, .log = log},
            hub_limits(config), std::move(records), hub_hooks()),
        fetchers({.io = io,
                  .loop = loop,
                  .clock = clock,
                  .random = [this] { return draw(); },
                  .http = http,
                  .log = log,
                  .scratch = config.state.directory},
                 config, host, fetcher_hooks()),
        server(server_options(config, version), clock, log),
        reloading({.config = config,
                   .file = config_file,
                   .version = version,
                   .cache = http_cache,
                   .log = log,
                   .keyring = keyring,
                   .http = http,
                   .hub = hub,
                   .fetchers = fetchers,
                   .server = server,
                   .configured = [this] { configured(); }}),
        operator_({.hub = hub,
                   .fetchers = fetchers,
                   .clock = clock,
                   .version = version,
                   .address = [this] { return (config.listen.tls ? "https://" : "http://") + address_text(); },
                   .keys_command = [this] { return keys_command(config.keys); },
                   .reload = [this] { return reloading.all(); },
                   .backup = [this](OperatorParts::Done done) { make_backup(std::move(done)); }}),
        control(
            io, config.state.directory / "control.sock",
            [this](const ControlRequest& request, const std::shared_ptr<ControlReply>& reply) {
              operator_.handle(request, reply);
            },
            log) {
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
    hooks.want = [this](const ChannelId& id, const Schedule& known, bool waits) {
      if (Fetcher* fetcher = fetchers.find(id.fetcher)) fetcher->want(id, known, waits);
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
    hooks.metrics = [this] {
      return metrics_page({.hub = hub,
                           .store = store_thread,
                           .fetchers = fetchers,
                           .http = http,
                           .server = server,
                           .version = version,
                           .connections_limit = server_options(config, version).connections});
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
      auto rules = rules_of(polled.channel.fetcher, polled.metadata);
      auto done = [this, id = polled.channel, schedule = polled.schedule](const PollOutcome& outcome) {
        if (Fetcher* fetcher = fetchers.find(id.fetcher)) fetcher->finished(id.text, schedule, verdict_of(outcome));
      };
      hub.commit(polled.channel, std::move(rules), std::move(polled.result), polled.schedule, std::move(done),
                 std::move(polled.poll));
    };
    hooks.status = [this](const ChannelId& id, const Status& status, bool transition) {
      hub.set_status(id, status, transition);
    };
    hooks.keep = [this](const ChannelId& id, const Schedule& schedule) { hub.keep(id, schedule); };
    hooks.idle = [this](const ChannelId& id) { hub.idle(id); };
    hooks.join_quota = [this] { return quota_book.join(); };
    hooks.name_credential = [this](const std::string& secret) { return hash.name(secret); };
    hooks.set_key = [this](const auto& fetcher, const auto& key) { return set_command(config.keys, fetcher, key); };
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

  // Made once for each version of a fetcher's plugin: the committer takes the same rules as a sign that nothing about
  // them has changed.
  std::shared_ptr<const CommitRules> rules_of(const std::string& fetcher,
                                              const std::shared_ptr<const Metadata>& metadata) {
    MadeRules& made = commit_rules[fetcher];
    if (made.of != metadata)
      made = {
          .of = metadata,
          .rules = std::make_shared<const CommitRules>(CommitRules{
              .diff = {.id_field = metadata->id_field, .ignore = metadata->ignore, .unordered = metadata->unordered},
              .complete = metadata->complete,
              .keep_events = config.state.events,
              .events_age = config.state.events_age})};
    return made.rules;
  }

  void pin_channels() {
    for (const auto& [name, settings] : config.fetchers)
      for (const auto& params : settings.pinned) {
        const Fetcher* fetcher = fetchers.find(name);
        if (fetcher == nullptr || !fetcher->metadata() || !fetcher->enabled()) continue;
        if (auto id = fetcher->resolve(params)) {
          pins.insert_or_assign({name, params}, *id);
          hub.pin(*id);
        } else {
          log.error("a pinned channel is refused", {{"fetcher", name}, {"reason", id.error().message}});
        }
      }
  }

  // Those that the configuration pins no more.
  void unpin_channels() {
    std::erase_if(pins, [this](const auto& pin) {
      const auto& [name, params] = pin.first;
      const auto found = config.fetchers.find(name);
      if (found != config.fetchers.end() &&
          std::ranges::find(found->second.pinned, params) != found->second.pinned.end())
        return false;
      hub.unpin(pin.second);
      return true;
    });
  }

  // The configuration is another one now.
  void configured() {
    commit_rules.clear();
    unpin_channels();
    pin_channels();
  }

  // --- life ---------------------------------------------------------------------------------------------------------

  std::expected<void, std::string> run(std::optional<int> listening) {
    // Signals come by way of the loop; a broken pipe, and a file that may not grow, are error values where they happen.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    wait_for_signal();
    fetchers.build_in([this] { return status_page(fetchers.status_items(), hub.channels()); });
    fetchers.start();
    fetchers.set_keys(std::exchange(first_keys, {}));
    if (config.listen.tls) {
      auto tls = TlsContext::load(config.listen.tls->certificate, config.listen.tls->key);
      if (!tls) return std::unexpected(tls.error());
      server.set_tls(std::move(*tls));
    }
    if (config.tokens) {
      auto tokens = load_tokens(*config.tokens);
      if (!tokens) return std::unexpected(tokens.error().where + ": " + tokens.error().message);
      server.set_tokens(std::move(*tokens));
    }
    watch_keys();
    std::vector<ServeThread> threads = server.threads();
    threads.push_back(operator_.entrance(static_cast<ServeNumber>(threads.size())));
    hub.serve_on(std::move(threads));
    if (auto started = server.start(hub.feed(), listening); !started) return started;
    if (auto started = control.start(); !started) return started;
    log.info("listening", {{"address", address_text()}});
    tell_status();
    if (const auto every = service.alive_every()) keep_alive(*every);
    io.run();
    store_thread.hurry(store_patience, [this](std::size_t polls) {
      log.warning("polls that waited to be written were dropped; the next ones find the same",
                  {{"polls", std::to_string(polls)}});
    });
    quota_book.close();
    return {};
  }

  [[nodiscard]] std::string address_text() const {
    const std::string address = server.address();
    return (address.find(':') != std::string::npos ? "[" + address + "]" : address) + ":" +
           std::to_string(server.port());
  }

  void wait_for_signal() {
    signals.async_wait([this](const boost::system::error_code& failed, int signal) {
      if (failed) return;
      if (signal == SIGHUP) {
        service.reloading();
        static_cast<void>(reloading.all());
        service.reloaded(status_text());
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

  void watch_keys() {
    loop.at(clock.steady() + keys_look, [this] {
      if (keyring.changed()) static_cast<void>(reloading.keys());
      watch_keys();
    });
  }

  void make_backup(OperatorParts::Done done) {
    // Moved on, never copied: what `done` holds is core's to let go.
    back_up(store_thread, config.state.directory,
            [this, done = std::move(done)](std::expected<std::string, std::string> made) mutable {
              loop.post([this, done = std::move(done), made = std::move(made)] {
                if (made) log.info("backup made");
                if (!made) log.error("there is no backup", {{"reason", made.error()}});
                done(made);
              });
            });
  }

  // --- what systemd hears -----------------------------------------------------------------------------------------

  // The line in `systemctl status`: where it listens, and what to do next.
  [[nodiscard]] std::string status_text() {
    const std::string where = "listening on " + address_text();
    if (const std::string todo = fetchers.to_do(); !todo.empty()) return where + "; next: " + todo;
    return where + "; " + fetchers.summary();
  }

  // Ready when every plugin is loaded or refused, and from then on every few seconds what has changed.
  void tell_status() {
    if (draining) return;
    if (fetchers.settled()) {
      if (std::exchange(said_ready, true)) {
        service.status(status_text());
      } else {
        service.ready(status_text());
      }
    }
    loop.at(clock.steady() + (said_ready ? status_every : settle_look), [this] { tell_status(); });
  }

  // Core is alive when it gets to do this.
  void keep_alive(Millis every) {
    service.alive();
    loop.at(clock.steady() + every, [this, every] { keep_alive(every); });
  }

  void drain() {
    service.stopping("sending subscribers away");
    log.info("shutting down: no new requests, subscribers are sent away");
    server.drain(drain_time, [this] { boost::asio::post(io, [this] { io.stop(); }); });
    loop.at(clock.steady() + drain_limit, [this] { io.stop(); });
  }

  double draw() { return std::uniform_real_distribution<double>(0.0, 1.0)(engine); }

  // In the order data flows; destroyed from the last to the first. The loop outlives all, because threads post to it
  // until they are joined.
  boost::asio::io_context io{1};
  boost::asio::signal_set signals{io, SIGTERM, SIGINT, SIGHUP};
  CoreLoop loop = asio_loop(io);
  Clock clock = real_clock();
  std::mt19937_64 engine{random_number()};
  Config config;
  std::filesystem::path config_file;
  std::string version;
  KeyedHash hash;
  std::shared_ptr<HttpCache> http_cache =
      std::make_shared<HttpCache>(config.state.directory / "cache", hash, cache_bytes);
  Log log;
  Keyring keyring;
  KeyValues first_keys;  // until the fetchers have them
  std::vector<ChannelRecord> records;
  std::vector<QuotaRecord> spent;
  bool draining = false;
  struct MadeRules {
    std::shared_ptr<const Metadata> of;
    std::shared_ptr<const CommitRules> rules;
  };
  std::map<std::string, MadeRules> commit_rules;  // of each fetcher
  std::map<std::pair<std::string, Params>, ChannelId> pins;
  HttpClient http;
  StoreThread store_thread;
  QuotaBook quota_book;
  Hub hub;
  Fetchers fetchers;
  Server server;
  Reloading reloading;
  Operator operator_;
  ControlServer control;
  ServiceManager service;
  bool said_ready = false;
};

Daemon::Daemon(Config config, std::filesystem::path file, const std::filesystem::path& host, std::string version,
               std::unique_ptr<Store> store, const KeyedHash& hash, Keyring keyring, KeyValues keys, Log log)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(file), host, std::move(version), std::move(store), hash,
                                   std::move(keyring), std::move(keys), std::move(log))) {}
Daemon::~Daemon() = default;
std::expected<void, std::string> Daemon::run(std::optional<int> listening) { return impl_->run(listening); }

}  // namespace restream
