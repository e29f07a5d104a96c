// What a fetcher host costs.
//
//   build/release/bench/bench-host [--plugin FILE.so] [--starts 100] [--calls 20000] [--seconds 5]
//
// Printed are, each for the sandbox required and off, in turns in one run:
//   start        from start() to `ready`: spawn, copy of the plugin, sandbox, load
//   round trip   metadata(), one call at a time: core -> host -> plugin -> host -> core
//   memory       PSS of a host alone, and of each of ten side by side (root alone may read it)
//   polls        calls that ask one slow API (50 ms, 20 KB) through this process, 64 at a time, a second
// Polls need bench-plugin.so, the default, which asks. The API's answers are made by this process after 50 ms: no
// socket of theirs is in the figures.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "fetch/host_process.hpp"
#include "measure.hpp"

namespace {

using namespace restream;
using std::chrono::steady_clock;

constexpr Millis api_delay{50};
constexpr std::size_t at_once = 64;

struct Options {
  std::filesystem::path plugin;
  std::filesystem::path host;
  std::size_t starts = 100;
  std::size_t calls = 20'000;
  std::size_t seconds = 5;
};

double micros(steady_clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

// One host that is up.
class Running {
 public:
  Running(boost::asio::io_context& io, const Options& options, SandboxMode sandbox) : io_(io) {
    HostOptions host;
    host.host = options.host;
    host.plugin = options.plugin;
    host.name = options.plugin.stem();
    host.sandbox = sandbox;
    HostCallbacks callbacks;
    callbacks.ready = [this](const HostReady&) { ready_ = true; };
    callbacks.ended = [](const HostEnd& end) { throw std::runtime_error("the host ended: " + end.reason); };
    callbacks.http = [this](CallNumber, const HostHttpRequest&, std::function<void(HostHttpResponse)> reply) {
      const auto timer = std::make_shared<boost::asio::steady_timer>(io_, api_delay);
      timer->async_wait([timer, reply = std::move(reply)](const auto& failed) {
        if (!failed) reply({0, 200, {{"content-type", "application/json"}}, answer(), {}});
      });
    };
    process_ = std::make_unique<HostProcess>(io, real_clock(), host, callbacks);
    const auto begin = steady_clock::now();
    if (auto started = process_->start(); !started) throw std::runtime_error(started.error());
    while (!ready_) io.run_one();
    start_ = steady_clock::now() - begin;
  }

  [[nodiscard]] steady_clock::duration start() const { return start_; }
  [[nodiscard]] int pid() const { return process_->pid(); }

  void call(HostFunction function, const std::string& request, std::function<void()> done) {
    process_->call(function, request, steady_clock::now() + Seconds(60),
                   [done = std::move(done)](const CallResult& result) {
                     if (result.kind != CallResult::Kind::returned || result.code != 0)
                       throw std::runtime_error("a call failed");
                     done();
                   });
  }

 private:
  static const std::string& answer() {
    static const std::string text = "[{\"id\": \"1\", \"text\": \"" + std::string(20'000, 'x') + "\"}]";
    return text;
  }

  boost::asio::io_context& io_;
  bool ready_ = false;
  steady_clock::duration start_{};
  std::unique_ptr<HostProcess> process_;
};

double round_trip(boost::asio::io_context& io, Running& host, std::size_t calls) {
  std::vector<double> times;
  for (std::size_t i = 0; i < calls; ++i) {
    bool done = false;
    const auto begin = steady_clock::now();
    host.call(HostFunction::metadata, R"({"call": "metadata", "config": {}})", [&done] { done = true; });
    while (!done) io.run_one();
    times.push_back(micros(steady_clock::now() - begin));
  }
  return bench::median(times);
}

double polls_per_second(boost::asio::io_context& io, Running& host, std::size_t seconds) {
  const auto begin = steady_clock::now();
  const auto end = begin + Seconds(static_cast<long>(seconds));
  std::size_t done = 0;
  std::size_t under_way = at_once;
  std::function<void()> next = [&] {
    ++done;
    if (steady_clock::now() < end)
      host.call(HostFunction::fetch, "ask", next);
    else
      --under_way;
  };
  for (std::size_t i = 0; i < at_once; ++i) host.call(HostFunction::fetch, "ask", next);
  while (under_way > 0) io.run_one();
  return static_cast<double>(done) / std::chrono::duration<double>(steady_clock::now() - begin).count();
}

// Kilobytes; 0 when it may not be read.
double memory_of(int pid) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string line; std::getline(rollup, line);)
    if (line.starts_with("Pss:")) return std::strtod(line.c_str() + 4, nullptr);
  return 0;
}

// Megabytes.
double memory_each(boost::asio::io_context& io, const Options& options, SandboxMode sandbox, std::size_t side_by_side) {
  std::vector<std::unique_ptr<Running>> hosts;
  for (std::size_t i = 0; i < side_by_side; ++i) {
    hosts.push_back(std::make_unique<Running>(io, options, sandbox));
    round_trip(io, *hosts.back(), 10);
  }
  double sum = 0;
  for (const auto& host : hosts) sum += memory_of(host->pid());
  return sum / static_cast<double>(side_by_side) / 1024;
}

void measure(const Options& options) {
  struct Figures {
    SandboxMode mode;
    const char* name;
    std::vector<double> starts;
  };
  boost::asio::io_context io;
  std::vector<Figures> all{{SandboxMode::required, "required", {}}, {SandboxMode::off, "off", {}}};
  for (std::size_t i = 0; i < options.starts; ++i)
    for (Figures& one : all) one.starts.push_back(micros(Running(io, options, one.mode).start()) / 1000);
  std::printf("%s, medians\n", options.plugin.filename().c_str());
  std::printf("%-10s %9s %14s %10s %11s %9s\n", "sandbox", "start ms", "round trip us", "1 host MB", "of 10, each",
              "polls/s");
  for (const Figures& one : all) {
    const double alone = memory_each(io, options, one.mode, 1);
    const double of_ten = memory_each(io, options, one.mode, 10);
    Running host(io, options, one.mode);
    const double trip = round_trip(io, host, options.calls);
    const double polls = options.seconds == 0 ? 0 : polls_per_second(io, host, options.seconds);
    std::printf("%-10s %9.2f %14.1f %10.2f %11.2f %9.0f\n", one.name, bench::median(one.starts), trip, alone, of_ten,
                polls);
  }
  std::printf("at most %.0f polls/s: %zu at once, each waits %lld ms for its API\n",
              static_cast<double>(at_once) * 1000 / static_cast<double>(api_delay.count()), at_once,
              static_cast<long long>(api_delay.count()));
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path build = std::filesystem::absolute(argv[0]).parent_path().parent_path();
  Options options{.plugin = build / "bench/bench-plugin.so", .host = build / "libexec/restream/restream-fetcher-host"};
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* const value = argv[i + 1];
    if (name == "--plugin") {
      options.plugin = std::filesystem::absolute(value);
      options.seconds = 0;
    }
    if (name == "--starts") options.starts = std::strtoul(value, nullptr, 10);
    if (name == "--calls") options.calls = std::strtoul(value, nullptr, 10);
    if (name == "--seconds") options.seconds = std::strtoul(value, nullptr, 10);
  }
  try {
    measure(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench-host: %s\n", error.what());
    return 1;
  }
  return 0;
}
