// A real HostProcess on a loop of its own, with the real restream-fetcher-host and the plugins of tests/abi.
#pragma once

#include <restream/fetcher.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fetch/host_process.hpp"

namespace restream::test {

using namespace std::chrono_literals;

#ifdef RESTREAM_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

struct LogLine {
  LogSource source;
  int level;
  std::string text;
  bool operator==(const LogLine&) const = default;
};

struct HttpAsk {
  CallNumber call;
  HostHttpRequest request;
  std::function<void(HostHttpResponse)> reply;
};

inline HostOptions options_for(const std::string& plugin) {
  const std::filesystem::path build = TEST_BUILD;
  HostOptions options;
  options.host = build / "libexec/restream/restream-fetcher-host";
  options.plugin = build / "tests/plugins" / (plugin + ".so");
  options.name = plugin;
  options.load_timeout = 20s;  // sanitized ones on a busy machine
  return options;
}

struct Host {
  boost::asio::io_context io;
  bool ready = false;
  HostReady greeting;
  std::optional<HostEnd> ended;
  std::vector<LogLine> lines;
  int uncounted = 0;
  std::vector<HttpAsk> asked;
  std::function<void(HttpAsk)> on_http;  // instead of `asked`
  std::unique_ptr<HostProcess> process;

  explicit Host(const std::string& plugin) : Host(options_for(plugin)) {}
  explicit Host(HostOptions options) {
    HostCallbacks callbacks;
    callbacks.ready = [this](HostReady with) {
      ready = true;
      greeting = std::move(with);
    };
    callbacks.ended = [this](HostEnd how) {
      REQUIRE_FALSE(ended);
      ended = std::move(how);
    };
    callbacks.http = [this](CallNumber call, HostHttpRequest request, std::function<void(HostHttpResponse)> reply) {
      HttpAsk ask{call, std::move(request), std::move(reply)};
      if (on_http)
        on_http(std::move(ask));
      else
        asked.push_back(std::move(ask));
    };
    callbacks.log = [this](LogSource source, int level, CallNumber, std::string line) {
      // What a sanitizer finds in the child must not stay in the child.
      for (const char* finding : {"data race", "runtime error", "heap-", "stack-", "lock-order"})
        if (sanitized && line.find(finding) != line.npos) FAIL_CHECK(line);
      lines.push_back({source, level, std::move(line)});
    };
    callbacks.uncounted = [this] { ++uncounted; };
    process = std::make_unique<HostProcess>(io, real_clock(), std::move(options), std::move(callbacks));
  }

  // Runs the loop until it holds; false when it does not in time.
  bool run_until(const std::function<bool()>& holds, std::chrono::milliseconds time = 60s) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (!holds()) {
      if (std::chrono::steady_clock::now() >= end) return false;
      if (io.stopped()) io.restart();
      io.run_one_for(20ms);
    }
    return true;
  }

  Host& started() {
    const auto result = process->start();
    if (!result) FAIL(result.error());
    const bool up = run_until([this] { return ready || ended.has_value(); });
    if (ended) FAIL(ended->reason << " " << ended->last_line);
    REQUIRE(up);
    return *this;
  }

  HostEnd until_ended() {
    REQUIRE(run_until([this] { return ended.has_value(); }));
    return *ended;
  }

  bool has_line(LogSource source, int level, std::string_view text) const {
    for (const LogLine& line : lines)
      if (line == LogLine{source, level, std::string(text)}) return true;
    return false;
  }
};

// A call under way, and then what became of it.
struct Pending {
  std::shared_ptr<std::optional<CallResult>> result = std::make_shared<std::optional<CallResult>>();
  CallNumber number = 0;
  [[nodiscard]] bool done() const { return result->has_value(); }
};

inline Pending begin(Host& host, std::string request, std::chrono::milliseconds time = 60s,
                     HostFunction function = HostFunction::fetch) {
  Pending pending;
  pending.number = host.process->call(function, std::move(request), std::chrono::steady_clock::now() + time,
                                      [result = pending.result](CallResult end) {
                                        REQUIRE_FALSE(result->has_value());
                                        *result = std::move(end);
                                      });
  REQUIRE_FALSE(pending.done());
  return pending;
}

inline CallResult finish(Host& host, const Pending& pending) {
  REQUIRE(host.run_until([&] { return pending.done(); }));
  return **pending.result;
}

inline CallResult call(Host& host, std::string request, std::chrono::milliseconds time = 60s,
                       HostFunction function = HostFunction::fetch) {
  return finish(host, begin(host, std::move(request), time, function));
}

// Whether a process of this id exists, be it a zombie.
bool exists(int pid);

// Whether this process has a child, be it a zombie.
bool has_children();

}  // namespace restream::test
