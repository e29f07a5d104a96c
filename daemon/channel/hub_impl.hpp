// What the hub is made of: shared by hub.cpp (attach, publish), hub_filters.cpp, hub_reads.cpp (history, snapshots,
// documents), hub_records.cpp (what is remembered of channels) and hub_feed.cpp (the functions that the serve threads
// call). Runs on: core.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "channel/announcement.hpp"
#include "channel/frame_thread.hpp"
#include "channel/hub.hpp"
#include "diff/projection.hpp"
#include "model/text_hash.hpp"

namespace restream {

using DocumentReply = std::function<void(std::shared_ptr<const Document>)>;
using SnapshotReply = std::function<void(std::expected<SnapshotChunk, HistoryProblem>)>;

// Subscribers of one serve thread, by the form they take.
using FormCounts = std::array<std::size_t, forms>;

// A filter that some of a channel's subscribers share.
struct SharedFilter {
  std::string key;
  std::shared_ptr<const Projection> projection;
  std::string brought_by;    // the client address that asked for it first
  FormCounts subscribers{};  // of all serve threads
  [[nodiscard]] bool in_use() const {
    return std::ranges::any_of(subscribers, [](std::size_t count) { return count > 0; });
  }
};

// The snapshot of a channel in one framing, seen through one filter.
struct SnapshotRead {
  std::weak_ptr<const std::string> bytes;  // of the last read, while somebody still sends it
  std::uint64_t offset = 0;
  std::vector<SnapshotReply> readers;
};

// The document of a channel: read once for all who ask while it is read or still sent.
struct DocumentRead {
  std::uint64_t commits = 0;  // of these it is
  State state = State::pending;
  std::weak_ptr<const Document> document;
  std::weak_ptr<std::vector<DocumentReply>> readers;  // while it is read
};

// The last committed result, for as long as the same one is known to change nothing (see PollOutcome::repeats_until).
struct Repeatable {
  Fingerprint result;
  std::shared_ptr<const CommitRules> rules;
  WallTime from;
  WallTime until;
  std::size_t skipped = 0;
  std::size_t repeated = 0;
};

struct Channel {
  ChannelNumber number = 0;
  ChannelId id;
  std::shared_ptr<const std::string> label;
  ChannelRecord record;
  std::uint64_t committed = 0;  // offset of the newest event, where that is not published yet
  Status status;
  std::map<ServeNumber, FormCounts> attached;  // those with a filter are counted in `filters`, too
  std::map<FilterNumber, SharedFilter> filters;
  FilterNumber last_filter = 0;
  std::size_t subscribers = 0;
  std::size_t other_demand = 0;  // pinned, or an HTTP request that waits
  bool polling = false;          // the fetcher was told to want it and has not said idle
  std::string brought_by;        // the client address that brought it to life; empty: no client
  std::vector<std::function<void()>> after_first_poll;

  std::map<std::pair<FilterNumber, Framing>, SnapshotRead> snapshots;
  DocumentRead document;
  std::uint64_t commits = 0;  // how often the snapshot may have changed
  std::optional<Repeatable> repeatable;

  [[nodiscard]] std::size_t demand() const { return subscribers + other_demand; }
  [[nodiscard]] bool ever_polled() const { return record.schedule.last_poll.has_value(); }
  // Something is known of it that must not be forgotten: what polls told, or that the API wants none yet.
  [[nodiscard]] bool worth_keeping() const { return ever_polled() || record.schedule.not_before; }
};

// What a visitor hears who may not see the channel.
FeedError not_for_this_token(const std::string& channel);

struct Hub::Impl : std::enable_shared_from_this<Hub::Impl> {
  Impl(Surroundings given, HubLimits lim, HubHooks h) : around(std::move(given)), limits(lim), hooks(std::move(h)) {}

  // finding channels
  // Calls `next` with the channel's id once the fetcher is known well enough to say.
  void resolve(const std::string& fetcher, const Params& params,
               std::function<void(std::expected<ChannelId, FeedError>)> next);
  Channel* find(ChannelNumber number);
  Channel* find(const std::string& id);
  std::expected<Channel*, FeedError> find_or_make(const ChannelId& id, const std::string& address);
  // Demand has grown or shrunk: tells the fetcher of the first and the last.
  void demand_changed(Channel& channel, std::size_t before, bool waits = true);
  void drop_if_idle(const std::string& id);

  // attach, detach
  void attach(AttachRequest request, std::function<void(std::expected<Attached, FeedError>)> reply);
  std::expected<Attached, FeedError> attach_to(const ChannelId& id, const AttachRequest& request);
  void detach(ServeNumber serve, ChannelNumber number, Form form);
  // The number of the channel's filter that asks for the same.
  static std::expected<FilterNumber, FeedError> share_filter(Channel& channel, const Filter& filter,
                                                             const std::string& address);

  // commit and publish
  void commit(const ChannelId& id, std::shared_ptr<const CommitRules> rules, std::string result,
              const Schedule& schedule, std::function<void(const PollOutcome&)> done, std::string poll);
  // What commit() was asked for is done: publishes, and ends the poll. When there is much to encode, any work of core
  // may come before; until then the channel is to everybody what it was before the poll.
  struct Commit;
  void committed(std::unique_ptr<Commit> one, PollOutcome outcome);
  void publish(Commit& one, const PollOutcome& outcome, std::optional<Announcement> made);
  void take_over(Channel& channel, Commit& one, const PollOutcome& outcome);
  void set_status(const ChannelId& id, const Status& status, bool transition);
  void first_poll_done(Channel& channel);
  void keep(const ChannelId& id, const Schedule& schedule);

  // reading
  void read_events(ChannelNumber number, std::uint64_t after, Form form, std::size_t max_bytes,
                   std::function<void(std::expected<HistoryChunk, HistoryProblem>)> reply);
  void read_snapshot(ChannelNumber number, Form form, SnapshotReply reply);

  // documents
  void get_channel(const std::string& fetcher, const Params& params, const Visitor& visitor, DocumentReply reply);
  void send_document(Channel& channel, DocumentReply reply);
  [[nodiscard]] std::vector<ChannelEntry> list() const;
  Document list_channels(const Access& access) const;
  Document describe_fetchers(const std::optional<std::string>& fetcher, const Access& access) const;

  // housekeeping
  // Channels that nobody asked for in a long time go, with all they had.
  void forget_old();
  void bound_records();

  Surroundings around;
  HubLimits limits;
  HubHooks hooks;
  std::unique_ptr<FrameThread> frames = std::make_unique<FrameThread>();  // null: the hub is gone
  std::vector<ServeThread> threads;
  TextMap<Channel> channels;  // nodes stay where they are, so `numbers` may point at them
  std::unordered_map<ChannelNumber, Channel*> numbers;
  TextMap<ChannelRecord> records;  // of channels that are not in memory
  TextMap<std::size_t> addresses;  // channels that each brought to life
  TextSet<> pinned;
  std::vector<std::function<void()>> waiting;  // for a fetcher to settle
  ChannelNumber next_number = 1;
  std::map<std::string, std::array<std::uint64_t, 3>> events_told;  // by fetcher: new, updated, removed
};

}  // namespace restream
