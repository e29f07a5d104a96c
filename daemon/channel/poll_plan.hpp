// What one poll's result means for a channel: who is new, updated, removed, gone for now. Runs on: store.
//
// Owned by the Committer, which writes it and then remembers it. Reads told items from the store, and writes nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "channel/commit_rules.hpp"
#include "diff/layout.hpp"
#include "model/event.hpp"
#include "model/text_hash.hpp"
#include "store/store.hpp"

namespace restream {

// What is known of an item: an ItemState without its id, which is the key.
struct KnownItem {
  Fingerprint raw;
  Fingerprint content;
  std::uint32_t missing = 0;
  std::uint32_t rules = 0;  // by which `content` is: a KnownChannel::rules_number; 0: nobody knows, it was on disk
  std::optional<WallTime> left;
};

constexpr std::chrono::hours remembered_after_leaving{7 * 24};
constexpr std::chrono::minutes longest_deferred{1};

// What is known of a channel, as of the last commit.
struct KnownChannel {
  ChannelRecord record;
  TextMap<KnownItem> known;
  std::vector<std::string> order;  // of the snapshot

  // Of the last good poll since the start; what follows saves the work when the next one says the same.
  std::optional<Fingerprint> result;
  std::optional<Layout> layout;  // of that result, when its items are those of `order`
  std::shared_ptr<const CommitRules> rules;
  std::uint32_t rules_number = 0;  // how many different ones there were since the start
  std::size_t skipped = 0;
  std::size_t repeated = 0;
  bool undecided = false;  // an item is missing, or the list is suddenly empty: the next poll decides
  bool suddenly_empty = false;
  std::optional<WallTime> next_forgotten;  // when the first of the items that left is forgotten
  WallTime written;                        // when a poll was last written

  [[nodiscard]] std::optional<WallTime> repeats_until() const {
    if (undecided) return {};
    return std::min(written + longest_deferred, next_forgotten.value_or(WallTime::max()));
  }
};

// One poll on its way into the store: what is written, and what is remembered once it is.
struct PollPlan {
  std::size_t input = 0;
  KnownChannel* channel = nullptr;      // the one in channels_, or `fresh`
  std::unique_ptr<KnownChannel> fresh;  // not in the store yet
  PollWrite write;
  std::shared_ptr<EventBatch> events;
  std::shared_ptr<const CommitRules> rules;
  std::uint32_t rules_number = 0;
  Fingerprint result;
  std::optional<Layout> layout;
  std::size_t skipped = 0;
  std::size_t repeated = 0;
  bool unchanged = false;  // the result has the same bytes as the one before
  bool undecided = false;
  bool suddenly_empty = false;
  std::optional<WallTime> next_forgotten;

  void tell(WallTime now, Change change) {
    events->events.push_back(Event{.offset = events->last() + 1, .time = now, .change = std::move(change)});
  }
  void set(const std::string& id, const KnownItem& known, std::optional<std::string> item = {});
  // An item that is new, or has another content than before.
  struct Candidate {
    const SlicedItem* item;
    ParsedItem parsed;
    KnownItem now;
    const KnownItem* before;
  };
  void compare(Store& store, const std::vector<SlicedItem>& items, WallTime now);
  void tell_changes(Store& store, std::vector<Candidate>& candidates, WallTime now);
  void forget_who_left(const TextSet<std::string_view>& present, WallTime now);
  void forget_too_many(const TextSet<std::string_view>& present, std::size_t more);
  void leave_out(Store& store, const std::vector<SlicedItem>& items, WallTime now);
};

}  // namespace restream
