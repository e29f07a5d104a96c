// The store contract: what is kept of every channel. It says nothing of SQL; whatever keeps it, these rules hold:
//
// * commit() is all or nothing, and durable once it returns: what was committed before a kill -9 is there after it.
// * Items and events of one poll are in one PollWrite, so nobody ever finds one without the other.
// * Items are told apart by the channel's id and their own; bytes go in and come out as they are.
// * Events of a channel have offsets without holes, from `first` to `head.offset`. Trimming takes the oldest ones only.
// * A channel that is not known yet begins with the epoch of its first write; later writes do not change it.
//
// Runs on: store. One object, one thread; nothing here may be called from another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "model/event.hpp"
#include "model/fingerprint.hpp"
#include "model/position.hpp"
#include "model/quota.hpp"
#include "model/schedule.hpp"
#include "model/text_hash.hpp"

namespace restream {

// What is known of a channel without reading its items.
struct ChannelRecord {
  std::string channel;      // the id text
  Position head;            // epoch, and offset of the newest event (0: none yet)
  std::uint64_t first = 1;  // the oldest event still kept; head.offset + 1 when none is
  std::uint64_t items = 0;  // in the snapshot
  Schedule schedule;
  std::uint64_t undoable = 1;  // events from this one on hold their undo; those before it are of an older restream
};

// What is remembered of one item besides its bytes.
struct ItemState {
  std::string id;
  Fingerprint raw;               // of the bytes the API sent last
  Fingerprint content;           // of the last told item without ignored fields and order
  std::uint32_t missing = 0;     // successful polls in a row without it
  std::optional<WallTime> left;  // when it left the snapshot without having been removed
};

// Sets the state of one item and, when it was told, its bytes.
struct ItemWrite {
  ItemState state;
  std::optional<std::string> item;
};

// How long events are kept. The oldest event goes as long as it is too old or one too many, and is not young.
struct Trim {
  std::uint64_t keep = 1000;
  WallTime older_than;  // events before this go, even when fewer than `keep`
  WallTime young;       // events from this on stay, even when more than `keep`: a subscriber may be reading them now
  WallTime now;         // events after this are not young: the wall clock was ahead when they came
};

// Whether the event at `offset`, the oldest one, goes from a log whose newest is `head`.
constexpr bool is_trimmed(const Trim& trim, WallTime time, std::uint64_t offset, std::uint64_t head) {
  const bool young = time >= trim.young && time <= trim.now;
  return !young && (time < trim.older_than || head - offset >= trim.keep);
}

// One successful poll.
struct PollWrite {
  std::string channel;
  std::uint64_t epoch = 0;                        // used when the channel is new to the store
  std::shared_ptr<const EventBatch> events;       // null or empty: nothing changed
  std::vector<ItemWrite> items;                   // new, updated, or otherwise different in state
  std::vector<std::string> forgotten;             // ids that go altogether
  std::optional<std::vector<std::string>> order;  // ids of the snapshot in the API's own order, when it changed
  Schedule schedule;
  Trim trim;
};

// A poll that failed, or a change of demand.
struct ScheduleWrite {
  std::string channel;
  std::uint64_t epoch = 0;
  Schedule schedule;
};

// The channel goes, with all it had.
struct ForgetWrite {
  std::string channel;
};

// What a credential has spent; an empty record is forgotten.
struct QuotaWrite {
  QuotaRecord record;
};

using Write = std::variant<PollWrite, ScheduleWrite, ForgetWrite, QuotaWrite>;

// The channel that a write is about; null for a quota.
inline const std::string* channel_of(const Write& write) {
  return std::visit(
      [](const auto& one) -> const std::string* {
        if constexpr (requires { one.channel; })
          return &one.channel;
        else
          return nullptr;
      },
      write);
}

struct Snapshot {
  Position position;
  std::vector<Item> items;  // in the API's own order
};

// The events asked for have left the log (or never were in it).
struct HistoryGone {};

// The disk is full, the file cannot be written, a write that breaks the rules … It did not happen; a later one may.
class StoreError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A copy of all that a store keeps, made a piece at a time so that commits go on between the pieces. It may outlive
// its store, but can then not be finished; one that is not finished leaves nothing behind.
class StoreCopy {
 public:
  StoreCopy() = default;
  StoreCopy(const StoreCopy&) = delete;
  StoreCopy& operator=(const StoreCopy&) = delete;
  virtual ~StoreCopy() = default;

  // Copies the next piece. True when the copy is whole, on disk, and as of now. Throws StoreError; then it is over.
  [[nodiscard]] virtual bool step() = 0;
};

class Store {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  // Everything below throws StoreError.
  [[nodiscard]] virtual std::vector<ChannelRecord> channels() = 0;
  [[nodiscard]] virtual std::optional<ChannelRecord> channel(const std::string& channel) = 0;
  [[nodiscard]] virtual std::vector<ItemState> item_states(const std::string& channel) = 0;
  [[nodiscard]] virtual std::vector<std::string> order(const std::string& channel) = 0;

  // The last told bytes of those of `ids` that are known.
  [[nodiscard]] virtual TextMap<std::string> items(const std::string& channel, std::span<const std::string> ids) = 0;

  // Nothing when the channel is unknown.
  [[nodiscard]] virtual std::optional<Snapshot> snapshot(const std::string& channel) = 0;

  // The events after `after`, oldest first: at least one when there is one, and no more than `max_bytes` of them (by
  // size_of()) otherwise.
  [[nodiscard]] virtual std::expected<std::vector<Event>, HistoryGone> events(const std::string& channel,
                                                                              Position after,
                                                                              std::size_t max_bytes) = 0;

  [[nodiscard]] virtual std::vector<QuotaRecord> quotas() = 0;

  // In their order. Times are kept to the millisecond.
  virtual void commit(std::span<const Write> writes) = 0;

  // Begins a copy in `directory`, which must be there; it replaces one that is there already when it is whole. Channels
  // of a store that is opened on a copy have new epochs: after the copy was made other events may have had the offsets
  // that come next. A store that nothing outlives need not have it.
  [[nodiscard]] virtual std::unique_ptr<StoreCopy> copy(const std::filesystem::path& directory) {
    throw StoreError("there is nothing to copy to " + directory.string() + ": this store is in memory alone");
  }
};

}  // namespace restream
