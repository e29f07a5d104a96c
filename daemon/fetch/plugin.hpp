// One version of a plugin file and its host: starts the host, restarts it with backoff when it ends, forwards the
// plugin's HTTP. Runs on: core. Owns the host process. Several fetchers may share a plugin; plugin_slot holds the
// versions of one file.
//
//   loading -> ready -> restarting -> loading …      a crash, a kill for a call past its deadline
//   loading -> refused                               not a fetcher, another ABI, cannot be loaded
//   restarting -> held                               five of either in ten minutes
//
// On trial it is not restarted: any end of its host is `refused`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/host_process.hpp"
#include "fetch/quota_book.hpp"
#include "fetch/schedule.hpp"
#include "http/http_client.hpp"
#include "model/clock.hpp"
#include "model/secret_text.hpp"
#include "ops/core_loop.hpp"
#include "ops/log.hpp"

namespace restream {

enum class PluginState : std::uint8_t {
  loading,
  ready,
  restarting,
  refused,
  held,
  removed,  // there is no such file; of a slot, never of a version
};

// What became of a call, with what the daemon saw of its HTTP requests.
struct PluginReply {
  enum class Kind : std::uint8_t {
    returned,   // with `code`; `output` is what was emitted
    timed_out,  // the plugin did not come back
    crashed,    // its host ended; `problem` says how
    retry,      // not this call's fault (the host was killed for another one, or is not up): ask again when ready
  };
  Kind kind{};
  std::int32_t code = 0;
  std::string output;
  std::string problem;                      // a sentence, for every kind but `returned`
  std::string last_line;                    // what the plugin logged last
  std::optional<HttpProblem> http_problem;  // of the last request, when there was no answer
  std::string http_message;
  int http_status = 0;  // of the last answer
  Hints hints;          // the longest of all answers
};

// How the last such call went: APIs that hang must not keep those waiting that do not, so less trust is fewer places.
enum class CallTrust : std::uint8_t { failed, fresh, proven };

struct PluginCall {
  std::string poll;  // the poll's name in the log; empty: none
  HostFunction function{};
  SecretText request;
  Millis timeout{};
  std::shared_ptr<const HttpRules> rules;  // null: no HTTP
  std::shared_ptr<Allowance> allowance;    // null: nothing is counted
  std::vector<int> limited_status;         // of an answer, besides 429: too many requests
  CallTrust trust = CallTrust::proven;
  std::function<void(PluginReply)> done;
};

class Plugin {
 public:
  struct Surroundings {
    boost::asio::io_context& io;
    CoreLoop loop;
    Clock clock;
    Random random;
    HttpClient& http;
    Log log;
    std::filesystem::path scratch;  // a folder of ours, for files that live for a moment
  };

  // `changed` is called after every change of state, not from inside start().
  Plugin(Surroundings surroundings, HostOptions options, std::function<void()> changed);
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  void start();
  // Keeps the bytes of the file that it was started from: from here on it is restarted from those, whatever becomes of
  // the file.
  void keep();
  void set_on_trial(bool on_trial);

  // Takes no more calls and is not restarted; `gone` comes when those under way have ended, not from inside. Calls that
  // its host loses until then are to be made elsewhere: `retry`.
  void retire(std::function<void()> gone);
  // Ends it at once. Calls under way get `retry`, not from inside.
  void stop();

  // `done` comes once, not from inside call(). Beyond 120 calls under way (80 of one fetcher, 80 that are not proven,
  // 40 that failed last time) it waits; its time starts when it does.
  void call(PluginCall call);

  // Nobody waits for this poll's call any more: the plugin is told, or, where the call still waits for a place, it is
  // not made, and `done` hears `retry`, not from inside. False when there is no such call.
  bool cancel(const std::string& poll);

  [[nodiscard]] PluginState state() const;
  [[nodiscard]] std::string problem() const;  // why it is not ready; empty when it is
  [[nodiscard]] std::uint64_t restarts() const;
  [[nodiscard]] std::size_t waiting() const;     // calls that have no place yet
  [[nodiscard]] int pid() const;                 // of its host; 0: none
  [[nodiscard]] std::string last_error() const;  // empty: none yet

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace restream
