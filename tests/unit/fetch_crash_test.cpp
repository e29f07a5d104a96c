// How a plugin that crashes or hangs is started again: real hosts, and a clock that the test moves.
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fake_core.hpp"
#include "fetch/crash_record.hpp"
#include "fetch/plugin.hpp"
#include "http/http_client.hpp"

using namespace restream;
using namespace std::chrono_literals;

namespace {

struct Crashing {
  explicit Crashing(double random, const std::string& name = "abort-on-load")
      : plugin({.io = io,
                .loop = core.loop(),
                .clock = core.clock(),
                .random = [random] { return random; },
                .http = http,
                .log = Log::none()},
               options(name), [] {}) {}

  static HostOptions options(const std::string& name) {
    const std::filesystem::path build = TEST_BUILD;
    HostOptions options;
    options.host = build / "libexec/restream/restream-fetcher-host";
    options.plugin = build / ("tests/plugins/" + name + ".so");
    options.name = name;
    options.load_timeout = 60s;
    return options;
  }

  // In real time.
  void run_until(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!holds()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      if (io.stopped()) io.restart();
      io.run_one_for(20ms);
      core.run();
    }
  }

  // Until the host that was started has crashed.
  void crash() {
    run_until([this, before = plugin.restarts()] { return plugin.restarts() != before; });
  }

  // Until a call has cost the host its life, and how another one ended that was under way.
  PluginReply::Kind hang() {
    run_until([this] { return plugin.state() == PluginState::ready; });
    std::optional<PluginReply::Kind> hung;
    std::optional<PluginReply::Kind> other;
    const auto begin = [this](const char* request, Millis timeout, std::optional<PluginReply::Kind>& kind) {
      PluginCall call;
      call.function = HostFunction::fetch;
      call.request = request;
      call.timeout = timeout;
      call.done = [&kind](const PluginReply& reply) { kind = reply.kind; };
      plugin.call(std::move(call));
    };
    begin("sleep 50000", 60s, other);
    begin("hang", 100ms, hung);
    run_until([&] { return hung && other; });
    CHECK(hung == PluginReply::Kind::timed_out);
    return *other;
  }

  Millis delay_after_crash() {
    crash();
    return delay_until_restart();
  }

  // To the millisecond.
  Millis delay_until_restart() {
    REQUIRE(plugin.state() == PluginState::restarting);
    Millis waited{0};
    for (; plugin.state() == PluginState::restarting; ++waited) core.advance(1ms);
    REQUIRE(plugin.state() == PluginState::loading);
    return waited;
  }

  boost::asio::io_context io;
  FakeCore core;
  HttpClient http{HttpOptions{}, real_clock()};  // it has a thread of its own
  Plugin plugin;
};

}  // namespace

TEST_CASE("a plugin that crashes again and again is started more slowly each time, and at last held") {
  Crashing world(0.0);
  world.plugin.start();
  std::vector<Millis> delays;
  for (int i = 0; i < 4; ++i) delays.push_back(world.delay_after_crash());
  CHECK(delays == std::vector<Millis>{1s, 2s, 4s, 8s});
  world.crash();
  CHECK(world.plugin.state() == PluginState::held);
  CHECK_THAT(world.plugin.problem(), Catch::StartsWith("held after 5 crashes in ten minutes: signal 6 (SIGABRT)"));
  CHECK(world.plugin.restarts() == 5);
  world.core.advance(std::chrono::hours(24));
  CHECK(world.plugin.state() == PluginState::held);
}

TEST_CASE("restarts are spread by up to a quarter of their delay") {
  Crashing world(1.0);
  world.plugin.start();
  CHECK(world.delay_after_crash() == 1250ms);
  CHECK(world.delay_after_crash() == 2500ms);
}

TEST_CASE("a plugin that hangs again and again is treated as one that crashes, and its other calls are tried again") {
  Crashing world(0.0, "actor");
  world.plugin.start();
  std::vector<Millis> delays;
  for (int i = 0; i < 4; ++i) {
    CHECK(world.hang() == PluginReply::Kind::retry);
    delays.push_back(world.delay_until_restart());
  }
  CHECK(delays == std::vector<Millis>{1s, 2s, 4s, 8s});
  CHECK(world.hang() == PluginReply::Kind::retry);
  CHECK(world.plugin.state() == PluginState::held);
  CHECK(world.plugin.problem() == "held after 5 crashes in ten minutes: killed: a call passed its deadline");
}

TEST_CASE("a plugin that crashes every few minutes waits longer each time, up to five minutes") {
  CrashRecord record;
  SteadyTime now{};
  std::vector<Millis> delays;
  for (int i = 0; i < 12; ++i) {
    delays.push_back(record.crashed(now, 0.0).value_or(-1ms));
    now += delays.back() + 3min;
  }
  CHECK(delays == std::vector<Millis>{1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s, 5min, 5min, 5min});
  // It ran for six minutes, and waited for five before.
  CHECK(record.crashed(now + 3min, 0.0) == 5min);
}

TEST_CASE("a plugin that ran for ten minutes is started quickly again") {
  CrashRecord record;
  SteadyTime now{};
  for (int i = 0; i < 3; ++i) CHECK(record.crashed(now, 0.0) == 1s * (1 << i));
  now += 4s + 10min;
  CHECK(record.crashed(now, 0.0) == 8s);
  now += 8s + 10min + 1ms;
  CHECK(record.crashed(now, 0.0) == 1s);
  CHECK(record.crashed(now, 0.0) == 2s);
}

TEST_CASE("crashes that are more than ten minutes apart in five hold no plugin") {
  Crashing world(0.0);
  world.plugin.start();
  for (int i = 0; i < 7; ++i) {
    world.crash();
    CHECK(world.plugin.state() == PluginState::restarting);
    world.core.advance(3min);
    CHECK(world.plugin.state() == PluginState::loading);
  }
}

TEST_CASE("what the host said last is told with the reason") {
  Crashing world(0.0);
  world.plugin.start();
  world.crash();
  CHECK_THAT(world.plugin.last_error(), Catch::StartsWith("signal 6 (SIGABRT)"));
}

TEST_CASE("a plugin's process whose threads cannot be counted is logged once, with what to change") {
  std::vector<std::pair<LogLevel, std::string>> lines;
  const Log log([&lines](LogLevel level, const std::string& line) { lines.emplace_back(level, line); },
                LogLevel::warning);
  HostOptions options = Crashing::options("actor");
  options.proc = std::filesystem::path(TEST_BUILD) / "tests";  // as where /proc hides what is not ours to trace
  boost::asio::io_context io;
  FakeCore core;
  HttpClient http(HttpOptions{}, real_clock());
  Plugin plugin({.io = io,
                 .loop = core.loop(),
                 .clock = core.clock(),
                 .random = [] { return 0.0; },
                 .http = http,
                 .log = log,
                 .scratch = {}},
                options, [] {});
  plugin.start();
  const auto start = std::chrono::steady_clock::now();
  while (lines.empty() && std::chrono::steady_clock::now() < start + 60s) io.run_one_for(20ms);
  for (const auto more = std::chrono::steady_clock::now() + 1200ms; std::chrono::steady_clock::now() < more;)
    io.run_one_for(20ms);
  REQUIRE(lines.size() == 1);
  CHECK(lines.front().first == LogLevel::warning);
  CHECK_THAT(lines.front().second,
             Catch::Contains("ProtectProc=") && Catch::Contains("pid=" + std::to_string(plugin.pid())));
}
