// Turns a poll's result into a commit: slice, diff against what was told, write. Runs on: store.
//
// Owns the fingerprints of the channels it has seen (the items stay in the store). One poll of a channel at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "channel/commit_rules.hpp"
#include "model/event.hpp"
#include "model/position.hpp"
#include "model/text_hash.hpp"
#include "store/store.hpp"

namespace restream {

// One poll that the plugin answered.
struct PollInput {
  std::string channel;
  std::uint64_t epoch = 0;  // for a channel that is new to the store
  std::shared_ptr<const CommitRules> rules;
  std::string result;  // what fetch() emitted
  WallTime now;
  Schedule schedule;
};

// What became of it. `problem` is empty when it was committed (or nothing had to be).
struct PollOutcome {
  enum class Kind : std::uint8_t {
    committed,    // events may be null: nothing changed
    api_error,    // status_code is not 200: `status` is it, `problem` the text; state kept
    bad_result,   // the result is not what the contract says; state kept
    store_failed  // the commit failed; the poll is dropped, the state before it kept
  };
  Kind kind = Kind::committed;
  int status = 200;
  std::string problem;
  std::shared_ptr<const EventBatch> events;
  Position head;
  std::uint64_t first = 1;
  std::uint64_t items = 0;
  std::size_t skipped = 0;
  std::size_t repeated = 0;
  std::chrono::nanoseconds diff{};  // time that cutting and comparing took
  bool deferred = false;            // committed, but for its schedule: nothing else was to be written
  // Between `now` of the poll and then, the same result under the same rules changes nothing and need not come here:
  // writing its schedule is enough. Nothing when the next poll decides something, whatever it says.
  std::optional<WallTime> repeats_until;
};

// What need not be written at once.
struct Patience {
  // Polls that found nothing new (but for one a minute of each channel, which trims its log): they are `deferred`, and
  // writing their schedules is the caller's affair.
  bool polls = false;
  bool others = false;  // when no poll is written
};

struct GroupOutcome {
  std::vector<PollOutcome> polls;  // in the order of the inputs
  bool written = false;            // there was a transaction, and it is on disk
  std::string problem;             // why the transaction failed; empty when all of it, `others` too, is on disk
};

struct KnownChannel;
struct PollPlan;

class Committer {
 public:
  explicit Committer(Store& store);
  ~Committer();

  // Group commit: all inputs in one transaction. No two inputs of one channel. `others` (schedules, channels to forget)
  // go into the same transaction, in front. When the transaction fails, every outcome says so and nothing of it is
  // remembered.
  GroupOutcome commit(std::span<const PollInput> inputs, std::span<const Write> others, Patience patience = {});

  // What is in memory of a channel goes. Should it be polled again, it is read from the store.
  void let_go(const std::string& channel);
  [[nodiscard]] std::size_t known() const { return channels_.size(); }

 private:
  void load(KnownChannel& channel, ChannelRecord record);
  std::optional<PollPlan> plan(const PollInput& input, bool forgotten, PollOutcome& outcome);
  void remember(PollPlan& plan, PollOutcome& outcome);

  Store& store_;
  TextMap<std::unique_ptr<KnownChannel>> channels_;
};

}  // namespace restream
