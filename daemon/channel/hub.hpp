// The channels: who is attached to each, where its log stands, what its status is. Attach and publish meet here, on one
// queue, so that a subscriber's history and live events have neither gap nor overlap. Runs on: core.
//
// Owns the channels in memory: those that somebody wants, or that are still lingering. What the store knows of the
// others is kept as small records.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channel/committer.hpp"
#include "channel/documents.hpp"
#include "channel/feed.hpp"
#include "channel/store_thread.hpp"
#include "model/channel_id.hpp"
#include "model/clock.hpp"
#include "model/schedule.hpp"
#include "model/status.hpp"
#include "ops/core_loop.hpp"
#include "ops/log.hpp"

namespace restream {

struct HubLimits {
  std::size_t channels = 10000;
  std::size_t channels_per_address = 1000;
  Seconds forget{30 * 24 * 3600};
  // Events that take longer to encode (work_of()) are left to the frames thread.
  std::chrono::nanoseconds encoded_on_core{1'000'000};
};

// What the hub asks of those who fetch. Called on core.
struct HubHooks {
  // Nothing while it is not known yet whether the fetcher works: asked again after Hub::fetcher_settled().
  std::function<std::optional<std::expected<ChannelId, FeedError>>(const std::string& fetcher, const Params& given)>
      resolve;
  // The first one came; `waits`: somebody, and not the configuration that pins it.
  std::function<void(const ChannelId&, const Schedule& known, bool waits)> want;
  std::function<void(const ChannelId&)> unwant;               // the last one left
  std::function<void(const ChannelId&, std::size_t)> demand;  // so many want it now; may be null
  std::function<Document(const std::optional<std::string>& fetcher)> describe_fetchers;
  std::function<Readiness()> readiness;  // the store's part is the hub's
  std::function<std::string()> metrics;  // Prometheus text of the whole daemon
};

class Hub {
 public:
  struct Surroundings {
    CoreLoop loop;
    Clock clock;
    std::function<std::uint64_t()> draw_epoch;  // a random number, for a new log
    StoreThread& store;
    Log log;
  };

  // `records`: all channels of the store, as it was opened.
  Hub(Surroundings surroundings, HubLimits limits, std::vector<ChannelRecord> records, HubHooks hooks);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Before the first attach.
  void serve_on(std::vector<ServeThread> threads);
  // For the serve threads. Its functions may be called from any thread while the hub lives.
  Feed feed();

  // --- from those who fetch, on core ---
  // A good poll: commits it, publishes what changed, then calls `done` with what became of it. `poll` is its name in
  // the log.
  void commit(const ChannelId& channel, std::shared_ptr<const CommitRules> rules, std::string result,
              const Schedule& schedule, std::function<void(const PollOutcome&)> done, std::string poll = {});
  void set_status(const ChannelId& channel, const Status& status, bool transition);
  void keep(const ChannelId& channel, const Schedule& schedule);
  void idle(const ChannelId& channel);  // its polls have stopped
  void fetcher_settled();
  // Demand that lasts until unpin().
  void pin(const ChannelId& channel);
  void unpin(const ChannelId& channel);
  void set_limits(HubLimits limits);  // for channels to come

  // What there is to count. Events are those since the start.
  struct Counts {
    std::map<State, std::size_t> channels;
    std::map<std::string, std::array<std::uint64_t, 3>> events;  // by fetcher: new, updated, removed
    bool store_works = true;
  };
  [[nodiscard]] Counts counts() const;
  // Those that somebody follows or that linger, by id. Good until the hub is called again.
  [[nodiscard]] std::vector<ChannelEntry> channels() const;

  // Drops a channel that nobody follows, with all it had. The error is a sentence.
  std::expected<void, std::string> forget(const std::string& channel);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace restream
