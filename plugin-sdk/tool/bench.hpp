// One plugin in its real host, driven by straight-line code: start it, call it, wait. Runs on: the tool's main thread.
//
// Owns the host process and the loop it lives on. Whatever the plugin asks of HTTP goes to the Upstream of that call,
// which answers at once or later, on the same loop.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/host_process.hpp"
#include "model/clock.hpp"

namespace restream::tool {

using Reply = std::function<void(HostHttpResponse)>;
using Upstream = std::function<void(const HostHttpRequest&, Reply)>;

struct BenchLine {
  LogSource source{};
  int level = 0;  // as RESTREAM_DEBUG … of fetcher.h
  std::string text;
};

// How a call went. `asked` are its HTTP requests, in order.
struct BenchResult {
  CallResult::Kind kind = CallResult::Kind::lost;
  std::int32_t code = 0;
  std::string output;
  std::vector<HostHttpRequest> asked;
  std::chrono::microseconds time{};
  [[nodiscard]] bool returned() const { return kind == CallResult::Kind::returned; }
};

class Bench {
 public:
  explicit Bench(HostOptions options);
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  // Waits until the plugin is loaded. The error says why it is not.
  std::expected<HostReady, HostEnd> start();

  // A call under way; `finish` waits for it.
  using Handle = std::size_t;
  Handle begin(HostFunction function, std::string request, Millis timeout, Upstream upstream);
  BenchResult finish(Handle handle);
  [[nodiscard]] bool is_done(Handle handle) const;
  void cancel(Handle handle);

  // begin() and finish().
  BenchResult call(HostFunction function, std::string request, Millis timeout, Upstream upstream);

  // Runs the loop until it holds; false when it does not within `time`.
  bool run_until(const std::function<bool()>& holds, Millis time);

  // Any thread: runs `work` on the loop.
  void post(std::move_only_function<void()> work);
  // Loop only: runs `work` after `delay`.
  void after(Millis delay, std::move_only_function<void()> work);

  // How the host ended, once it has. After a call was lost, wait for it: the reason comes a moment later.
  [[nodiscard]] std::optional<HostEnd> ended() const;
  HostEnd wait_for_end();

  // What the plugin logged and printed so far; forgotten by taking it. `wait`: also what is on its way.
  std::vector<BenchLine> take_lines(bool wait = true);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace restream::tool
