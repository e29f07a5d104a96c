// The store thread: everything that touches the store runs here, in order. Owns the store, the committer, the thread.
//
// Group commit: all polls that wait when the thread gets to them are diffed and written in one transaction, so that a
// busy daemon pays for one fsync where a quiet one pays for one per poll.
#pragma once

#include <functional>
#include <memory>

#include "channel/committer.hpp"
#include "ops/metrics.hpp"
#include "store/store.hpp"

namespace restream {

class StoreThread {
 public:
  // Starts the thread.
  explicit StoreThread(std::unique_ptr<Store> store);
  // Finishes what is queued (see hurry), then joins.
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // The calls may come from any thread. `done` and `job` run on the store thread and must not throw or block.

  // Two polls of one channel are never grouped; they are committed in the order they came.
  void commit(PollInput poll, std::move_only_function<void(PollOutcome)> done);
  // A schedule or a channel to forget (never a PollWrite); written with the next commit, or at the latest after 200 ms.
  // When the store fails it is kept and tried again with the next commit, or after a second (of one channel only the
  // newest schedule). Never overtakes a poll of its channel, nor is overtaken by one.
  void write(Write write);
  // What a quota has spent: written at once, with the polls that wait. `done` runs on the store thread and hears
  // whether it is on disk; if it is not, it is not tried again.
  void spend(QuotaRecord record, std::move_only_function<void(bool written)> done);
  // Reads after every poll and every forgotten channel that was queued before; a schedule may still wait. A StoreError
  // that `job` lets out ends in `failed`.
  void read(std::move_only_function<void(Store&)> job, std::move_only_function<void(std::string)> failed);

  // The channel is polled no more for now: what is in memory of it goes, after what was queued before.
  void let_go(std::string channel);

  // The end is near: after `within`, polls that still wait are dropped and only their schedules written. What they
  // found is found again by the next poll. `dropped` hears how many, if any, as the last thing on the store thread.
  void hurry(Millis within, std::move_only_function<void(std::size_t polls)> dropped);

  // Written by the store thread, read by any.
  struct Stats {
    DurationHistogram diffs;    // of one poll's result against what was told
    DurationHistogram commits;  // diff and transaction of one group
    Counter failures;           // transactions that failed
    Counter waiting;            // polls that are not answered yet, now
    Counter known;              // channels of which the fingerprints are in memory, now
  };
  [[nodiscard]] const Stats& stats() const;

  // What the last transaction of any kind met; empty when it is on disk. From any thread.
  [[nodiscard]] std::string problem() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace restream
