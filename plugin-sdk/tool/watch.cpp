#include "tool/watch.hpp"

#include <csignal>
#include <cstdio>
#include <memory>
#include <random>

#include "channel/committer.hpp"
#include "channel/frame.hpp"
#include "ops/utf8.hpp"
#include "store/memory_store.hpp"

namespace restream::tool {

namespace {

// Only a flag may be touched where a signal arrives.
volatile std::sig_atomic_t interrupted = 0;

void print(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// The rules that restreamd keeps (docs/state.md), with a store that is gone when the tool ends.
class Told {
 public:
  explicit Told(const Trial& trial)
      : trial_(trial),
        label_(channel_label(trial.channel())),
        rules_(
            std::make_shared<const CommitRules>(CommitRules{.diff = {.id_field = trial.subject().metadata.id_field,
                                                                     .ignore = trial.subject().metadata.ignore,
                                                                     .unordered = trial.subject().metadata.unordered},
                                                            .complete = trial.subject().metadata.complete})) {}

  // Prints the events of a good poll; the failure of one that turns out to be none.
  std::optional<Failure> commit(const Poll& poll) {
    const PollInput input{.channel = trial_.channel().text,
                          .epoch = epoch_,
                          .rules = rules_,
                          .result = poll.result.output,
                          .now = std::chrono::system_clock::now(),
                          .schedule = {}};
    const GroupOutcome group = committer_.commit({&input, 1}, {});
    const PollOutcome& outcome = group.polls.front();
    if (outcome.kind != PollOutcome::Kind::committed)
      return Failure{State::failing, Reason::bad_result, outcome.problem};
    if (outcome.events)
      for (const Event& event : outcome.events->events)
        print(trial_.redact(event_json(label_, outcome.head.epoch, event, Deliver::both)));
    return std::nullopt;
  }

  // Like restreamd: at transitions, and not for the first success.
  void status(const std::optional<Failure>& failure, Millis next) {
    const State state = failure ? failure->state : State::live;
    const Reason reason = failure ? failure->reason : Reason::none;
    if (state == state_ && reason == reason_) return;
    state_ = state;
    reason_ = reason;
    const WallTime now = std::chrono::system_clock::now();
    print(status_json(label_, {.state = state,
                               .reason = reason,
                               .message = failure ? failure->message : "the last poll succeeded",
                               .at = now,
                               .next_poll = now + next}));
  }

 private:
  const Trial& trial_;
  std::string label_;
  std::shared_ptr<const CommitRules> rules_;
  std::uint64_t epoch_ = std::random_device()();
  MemoryStore store_;
  Committer committer_{store_};
  State state_ = State::live;
  Reason reason_ = Reason::none;
};

}  // namespace

std::string exchange_text(const Exchange& exchange) {
  std::string out = exchange.request.method + " " + exchange.request.url + "  ";
  if (exchange.result) {
    out += std::to_string(exchange.result->status) + ", " + std::to_string(exchange.result->body.size()) + " bytes";
  } else {
    out += std::string(problem_text(exchange.result.error().problem)) + ": " + exchange.result.error().message;
  }
  return out + ", " + std::to_string(exchange.time.count()) + " ms";
}

int watch(Trial& trial, const TryOptions& options) {
  const auto on_signal = [](int) { interrupted = 1; };
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  const auto own = std::chrono::duration_cast<Millis>(trial.subject().metadata.poll_interval);
  const Millis interval = options.interval.value_or(own);
  Told told(trial);
  unsigned failures = 0;
  bool failed = false;
  for (std::uint64_t polls = 1;; ++polls) {
    const Poll poll =
        trial.poll([](const Exchange& one) { std::fprintf(stderr, "%s\n", printable(exchange_text(one)).c_str()); });
    for (const BenchLine& line : poll.lines) std::fprintf(stderr, "plugin: %s\n", printable(line.text).c_str());
    std::optional<Failure> failure = poll.failure;
    if (!failure) failure = told.commit(poll);
    failed = failure.has_value();
    failures = failed ? failures + 1 : 0;
    const Millis delay = failed ? delay_after_failure(interval, failures, poll.hints, 1.0)
                                : delay_after_success(interval, poll.hints, 0.0);
    told.status(failure, delay);
    if (interrupted != 0 || polls == options.polls || trial.is_over()) break;
    // A recording has no reason to wait, and none to be spared.
    const Millis pause = options.replay.empty() ? delay : Millis(0);
    trial.bench().run_until([] { return interrupted != 0; }, pause);
    if (interrupted != 0) break;
  }
  return failed ? exit_fault : exit_fine;
}

}  // namespace restream::tool
