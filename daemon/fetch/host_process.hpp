// One fetcher host: the child process that loads one plugin. Spawns it, talks to it, kills it. Runs on: core.
//
// Owns the child (a pidfd), its socket and its log pipes. It never restarts: whoever owns it makes a new one. All
// callbacks come on core, never from inside start() or call(), and none after the destructor, which kills the child.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "model/clock.hpp"
#include "model/secret_text.hpp"

namespace boost::asio {
class io_context;
}

namespace restream {

using CallNumber = std::uint64_t;

struct HostOptions {
  std::filesystem::path host;    // restream-fetcher-host
  std::filesystem::path plugin;  // the .so
  std::string name;              // of the plugin, for the process title and messages
  std::uint64_t memory = 256ULL << 20U;
  SandboxMode sandbox = SandboxMode::required;
  Millis load_timeout{5000};             // from the start to `ready`
  std::filesystem::path proc = "/proc";  // where its threads are counted
};

// What a plugin asks of the daemon during a call.
struct HostHttpRequest {
  std::string method;
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

// What it gets. `code` is one of RESTREAM_OK … of restream/fetcher.h.
struct HostHttpResponse {
  std::int32_t code = 0;
  std::int32_t status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string error;
};

// How a call ended.
struct CallResult {
  enum class Kind : std::uint8_t {
    returned,   // the function came back with `code`; `output` is what it emitted
    timed_out,  // it did not come back by its deadline: this host is being killed for it
    lost,       // the host ended (or was killed for another call) while this one was under way
  };
  Kind kind{};
  std::int32_t code = 0;
  std::string output;
};

enum class HostFunction : std::uint8_t { metadata = 1, fetch = 2 };

struct HostReady {
  std::string abi;  // "1.0"
  std::string sdk_version;
};

// Why a host ended. `reason` is a sentence: "signal 11 (SIGSEGV)", "exit status 3", "killed: a call passed its
// deadline".
struct HostEnd {
  bool refused = false;  // the library is no fetcher, is of another ABI, or cannot be loaded: trying again is no use
  bool timed_out = false;
  std::string reason;
  std::string last_line;  // the last thing it logged or printed
};

enum class LogSource : std::uint8_t { plugin, standard_output, standard_error };

struct HostCallbacks {
  std::function<void(HostReady)> ready;
  std::function<void(HostEnd)> ended;  // last of all; every call has ended before it
  // Answer through `reply`, once, on core; at any time, even after the host or the call ended.
  std::function<void(CallNumber, HostHttpRequest, std::function<void(HostHttpResponse)> reply)> http;
  // `level` as RESTREAM_DEBUG … of fetcher.h; `call`: during which it was logged, 0 where that is not known.
  std::function<void(LogSource, int level, CallNumber call, std::string line)> log;
  // It lives, and its threads cannot be counted; once.
  std::function<void()> uncounted;
};

class HostProcess {
 public:
  HostProcess(boost::asio::io_context& core, Clock clock, HostOptions options, HostCallbacks callbacks);
  ~HostProcess();
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;

  // Spawns the child. An error is a sentence: no such file, out of processes …
  std::expected<void, std::string> start();

  // Calls a function of the plugin; only after `ready`. `request` is JSON text. `done` comes once.
  CallNumber call(HostFunction function, const SecretText& request, SteadyTime deadline,
                  std::function<void(CallResult)> done);

  // Tells the plugin that nobody waits (its `cancelled`); the call still ends by itself or by its deadline.
  void cancel(CallNumber call);

  // Kills the child; `ended` follows.
  void kill(const std::string& reason);

  [[nodiscard]] int pid() const;
  [[nodiscard]] std::size_t calls() const;  // under way

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace restream
