// What `try` and its `--watch` share: a plugin that is loaded, its channel, its keys, and the way its requests take.
// Runs on: the tool's main thread.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/schedule.hpp"
#include "fetch/verdicts.hpp"
#include "tool/bench.hpp"
#include "tool/recording.hpp"
#include "tool/try.hpp"
#include "tool/upstreams.hpp"

namespace restream::tool {

struct TrialProblem {
  int exit_code = exit_fault;
  std::string message;
};

// One poll, as far as the plugin is concerned. When `failure` is set, subscribers would hear of that.
struct Poll {
  BenchResult result;
  std::vector<Exchange> exchanges;  // without keys
  std::vector<BenchLine> lines;     // without keys
  std::optional<Failure> failure;
  SteadyTime back;  // when the plugin was
  Hints hints;
};

class Trial {
 public:
  explicit Trial(const TryOptions& options);
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  // Loads the plugin, checks params and keys, opens the recording.
  std::expected<void, TrialProblem> open();

  // One poll. A host that ended is started again first. `on_exchange` hears of each request as it is answered.
  Poll poll(const std::function<void(const Exchange&)>& on_exchange);

  // Writes all exchanges so far, where --record asks for it.
  std::expected<void, TrialProblem> save() const;

  // All exchanges so far, without keys.
  [[nodiscard]] Recording recording() const;
  [[nodiscard]] const Subject& subject() const;
  [[nodiscard]] const ChannelId& channel() const;
  [[nodiscard]] bool is_over() const;  // a recording that is used up
  [[nodiscard]] Millis load_time() const;
  [[nodiscard]] std::string redact(std::string_view text) const;
  Bench& bench();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace restream::tool
