#include "channel/committer.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "diff/layout.hpp"

namespace restream {

namespace {

constexpr std::uint32_t polls_until_removed = 2;
constexpr std::chrono::hours remembered_after_leaving{7 * 24};
constexpr std::chrono::minutes longest_deferred{1};
constexpr std::size_t candidates_at_once = 256;  // parsed items, and told bytes, in memory

// An ItemState without its id, which is the key.
struct Known {
  Fingerprint raw;
  Fingerprint content;
  std::uint32_t missing = 0;
  std::optional<WallTime> left;
};

ItemState state_of(const std::string& id, const Known& known) {
  return ItemState{.id = id, .raw = known.raw, .content = known.content, .missing = known.missing, .left = known.left};
}

using Ids = std::unordered_set<std::string_view>;
using Items = std::unordered_map<std::string, std::string>;

// The API's order, with the items that it left out but that stay for now: each behind the item it stood behind.
std::vector<std::string> merged_order(const std::vector<SlicedItem>& items, const Ids& present,
                                      const std::vector<std::string>& before, const Ids& held) {
  std::unordered_map<std::string_view, std::vector<std::string_view>> behind;
  std::string_view anchor;  // ids are never empty: "" is the front
  for (const std::string& id : before) {
    if (present.contains(id)) anchor = id;
    if (held.contains(id)) behind[anchor].push_back(id);
  }
  std::vector<std::string> order;
  order.reserve(items.size() + held.size());
  const auto place_held = [&](std::string_view id) {
    const auto found = behind.find(id);
    if (found == behind.end()) return;
    order.insert(order.end(), found->second.begin(), found->second.end());
  };
  place_held({});
  for (const SlicedItem& item : items) {
    order.push_back(item.id);
    place_held(item.id);
  }
  return order;
}

}  // namespace

// What is known of a channel, as of the last commit.
struct Committer::Channel {
  ChannelRecord record;
  std::unordered_map<std::string, Known> known;
  std::vector<std::string> order;  // of the snapshot

  // Of the last good poll since the start; what follows saves the work when the next one says the same.
  std::optional<Fingerprint> result;
  std::optional<Layout> layout;  // of that result, when its items are those of `order`
  std::shared_ptr<const CommitRules> rules;
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
struct Committer::Plan {
  std::size_t input = 0;
  Channel* channel = nullptr;      // the one in channels_, or `fresh`
  std::unique_ptr<Channel> fresh;  // not in the store yet
  PollWrite write;
  std::shared_ptr<EventBatch> events;
  std::shared_ptr<const CommitRules> rules;
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
  void set(const std::string& id, const Known& known, std::optional<std::string> item = {}) {
    write.items.push_back(ItemWrite{.state = state_of(id, known), .item = std::move(item)});
  }
  // An item that is new, or has another content than before.
  struct Candidate {
    const SlicedItem* item;
    ParsedItem parsed;
    Known now;
    const Known* before;
  };
  void compare(Store& store, const std::vector<SlicedItem>& items, WallTime now);
  void tell_changes(Store& store, std::vector<Candidate>& candidates, WallTime now);
  void leave_out(Store& store, const std::vector<SlicedItem>& items, WallTime now);
};

// What the result holds: new and updated items.
void Committer::Plan::compare(Store& store, const std::vector<SlicedItem>& items, WallTime now) {
  std::vector<Candidate> candidates;
  for (const SlicedItem& item : items) {
    if (item.seen) continue;  // and it was there at the last poll, so it is not back either
    Known state{.raw = fingerprint_bytes(item.json), .content = {}, .missing = 0, .left = {}};
    const auto found = channel->known.find(item.id);
    const Known* before = found == channel->known.end() ? nullptr : &found->second;
    if (before != nullptr && before->raw == state.raw) {
      state.content = before->content;
      if (before->missing != 0 || before->left) set(item.id, state);  // it is back
      continue;
    }
    ParsedItem parsed(item.json);
    state.content = parsed.content(rules->diff);
    if (before != nullptr && before->content == state.content) {
      set(item.id, state);
      continue;
    }
    candidates.push_back(Candidate{.item = &item, .parsed = std::move(parsed), .now = state, .before = before});
    if (candidates.size() == candidates_at_once) tell_changes(store, candidates, now);
  }
  tell_changes(store, candidates, now);
}

// Of items whose content is another, or which are new. Leaves `candidates` empty.
void Committer::Plan::tell_changes(Store& store, std::vector<Candidate>& candidates, WallTime now) {
  if (candidates.empty()) return;
  std::vector<std::string> ids;  // of the known ones: only their bytes are read
  for (const Candidate& candidate : candidates) {
    if (candidate.before != nullptr) ids.push_back(candidate.item->id);
  }
  // The content fingerprints that are kept may come from other rules; then only the told items can say what changed.
  const bool new_rules = channel->rules != rules;
  const auto told = store.items(write.channel, ids);
  for (const Candidate& candidate : candidates) {
    const SlicedItem& item = *candidate.item;
    const auto before = candidate.before == nullptr ? told.end() : told.find(item.id);
    if (before == told.end()) {
      tell(now, Change{.kind = ChangeKind::new_item, .id = item.id, .item = item.json, .patch = {}, .undo = {}});
      set(item.id, candidate.now, item.json);
      continue;
    }
    const bool same = new_rules && content_fingerprint(before->second, rules->diff) == candidate.now.content;
    Patches patches = same ? Patches{} : candidate.parsed.patches_from(before->second);
    if (same || patches.forward == "[]") {
      set(item.id, candidate.now);
      continue;
    }
    tell(now, Change{.kind = ChangeKind::updated_item,
                     .id = item.id,
                     .item = item.json,
                     .patch = std::move(patches.forward),
                     .undo = std::move(patches.back)});
    set(item.id, candidate.now, item.json);
  }
  candidates.clear();
}

// What the result lacks: items that are removed, leave, wait for a second opinion, or are forgotten.
void Committer::Plan::leave_out(Store& store, const std::vector<SlicedItem>& items, WallTime now) {
  const bool nobody_is_due = !channel->next_forgotten || now < *channel->next_forgotten;
  if (nobody_is_due && std::ranges::equal(items, channel->order, {}, &SlicedItem::id)) {
    next_forgotten = channel->next_forgotten;
    return;  // in most polls of a long list all are in their places
  }
  Ids present;
  for (const SlicedItem& item : items) present.insert(item.id);
  // One empty list is more often an API's hiccup than the end of everything.
  suddenly_empty = items.empty() && !channel->order.empty() && !channel->suddenly_empty;
  undecided = suddenly_empty;
  Ids held;
  std::vector<std::string> removed;
  for (const std::string& id : channel->order) {
    if (present.contains(id)) continue;
    Known state = channel->known.at(id);
    if (rules->complete) {
      ++state.missing;
      if (!suddenly_empty && state.missing >= polls_until_removed) {
        removed.push_back(id);
        continue;
      }
      undecided = true;
      held.insert(id);
      set(id, state);
    } else if (suddenly_empty) {
      held.insert(id);
    } else {
      state.missing = 0;
      state.left = now;
      set(id, state);
      next_forgotten = std::min(next_forgotten.value_or(WallTime::max()), now + remembered_after_leaving);
    }
  }
  auto told = removed.empty() ? Items{} : store.items(write.channel, removed);
  for (std::string& id : removed) {
    tell(now, Change{.kind = ChangeKind::removed_item, .id = id, .item = {}, .patch = {}, .undo = std::move(told[id])});
    write.forgotten.push_back(std::move(id));
  }
  for (const auto& [id, known] : channel->known) {
    if (!known.left || present.contains(id)) continue;
    const WallTime forgotten = *known.left + remembered_after_leaving;
    if (forgotten <= now)
      write.forgotten.push_back(id);
    else
      next_forgotten = std::min(next_forgotten.value_or(WallTime::max()), forgotten);
  }
  std::vector<std::string> order = merged_order(items, present, channel->order, held);
  if (order != channel->order) write.order = std::move(order);
}

Committer::Committer(Store& store) : store_(store) {}
Committer::~Committer() = default;

void Committer::load(Channel& channel, ChannelRecord record) {
  channel.record = std::move(record);
  for (ItemState& state : store_.item_states(channel.record.channel)) {
    if (state.left)
      channel.next_forgotten =
          std::min(channel.next_forgotten.value_or(WallTime::max()), *state.left + remembered_after_leaving);
    channel.known.emplace(
        std::move(state.id),
        Known{.raw = state.raw, .content = state.content, .missing = state.missing, .left = state.left});
  }
  channel.order = store_.order(channel.record.channel);
  for (const std::string& id : channel.order) {
    if (!channel.known.contains(id)) throw StoreError("the store lacks an item of channel " + channel.record.channel);
  }
}

// Nothing, and `outcome` says why, when the result is refused. Throws StoreError.
std::optional<Committer::Plan> Committer::plan(const PollInput& input, bool forgotten, PollOutcome& outcome) {
  Plan plan;
  if (const auto seen = channels_.find(input.channel); seen != channels_.end() && !forgotten) {
    plan.channel = seen->second.get();
  } else {
    auto made = std::make_unique<Channel>();
    plan.channel = made.get();
    std::optional<ChannelRecord> record = forgotten ? std::nullopt : store_.channel(input.channel);
    if (record) {
      load(*made, std::move(*record));
      channels_[input.channel] = std::move(made);  // true whatever becomes of this poll
    } else {
      made->record.channel = input.channel;
      made->record.head.epoch = input.epoch;
      plan.fresh = std::move(made);
    }
  }
  const Channel& channel = *plan.channel;
  outcome.head = channel.record.head;
  outcome.first = channel.record.first;
  outcome.items = channel.record.items;

  plan.rules = input.rules;
  plan.result = fingerprint_bytes(input.result);
  plan.write.channel = input.channel;
  plan.write.epoch = input.epoch;
  plan.write.schedule = input.schedule;
  plan.write.trim = Trim{.keep = input.rules->keep_events,
                         .older_than = input.now - input.rules->events_age,
                         .young = input.now - input.rules->events_young,
                         .now = input.now};
  plan.skipped = channel.skipped;
  plan.repeated = channel.repeated;
  plan.next_forgotten = channel.next_forgotten;
  const bool nobody_is_due = !channel.next_forgotten || input.now < *channel.next_forgotten;
  if (channel.result == plan.result && channel.rules == input.rules && !channel.undecided && nobody_is_due) {
    plan.unchanged = true;
    return plan;
  }

  std::expected<Sliced, SliceError> sliced;
  std::optional<Sliced> again;
  if (channel.layout && channel.rules == input.rules)
    again = slice_again(input.result, input.rules->diff, *channel.layout, channel.order);
  if (again)
    sliced = std::move(*again);
  else
    sliced = slice_result(input.result, input.rules->diff);
  if (!sliced) {
    outcome.kind = PollOutcome::Kind::bad_result;
    outcome.problem = sliced.error().message;
    return std::nullopt;
  }
  if (sliced->status_code != 200) {
    outcome.kind = PollOutcome::Kind::api_error;
    outcome.status = sliced->status_code;
    outcome.problem = sliced->text;
    return std::nullopt;
  }
  plan.skipped = sliced->skipped;
  plan.repeated = sliced->repeated;
  plan.next_forgotten.reset();
  plan.events = std::make_shared<EventBatch>();
  plan.events->after = channel.record.head.offset;
  plan.compare(store_, sliced->items, input.now);
  plan.leave_out(store_, sliced->items, input.now);
  if (!plan.events->events.empty()) plan.write.events = plan.events;
  if (!plan.undecided) plan.layout = layout_of(input.result, *sliced);
  return plan;
}

// The transaction is on disk: from here on this is how things stand.
void Committer::remember(Plan& plan, PollOutcome& outcome) {
  Channel& channel = *plan.channel;
  for (const ItemWrite& item : plan.write.items) {
    const ItemState& state = item.state;
    channel.known[state.id] =
        Known{.raw = state.raw, .content = state.content, .missing = state.missing, .left = state.left};
  }
  for (const std::string& id : plan.write.forgotten) channel.known.erase(id);
  if (plan.write.order) channel.order = std::move(*plan.write.order);
  channel.result = plan.result;
  if (!plan.unchanged) channel.layout = std::move(plan.layout);
  channel.rules = std::move(plan.rules);
  channel.skipped = plan.skipped;
  channel.repeated = plan.repeated;
  channel.undecided = plan.undecided;
  channel.suddenly_empty = plan.suddenly_empty;
  channel.next_forgotten = plan.next_forgotten;

  outcome.events = plan.write.events;
  outcome.skipped = plan.skipped;
  outcome.repeated = plan.repeated;
  if (plan.write.events) channel.record.head.offset = plan.write.events->last();
  channel.record.items = channel.order.size();
  try {
    // The store knows what it trimmed, and which epoch the channel really has.
    if (auto record = store_.channel(plan.write.channel)) channel.record = std::move(*record);
  } catch (const StoreError&) {
    // Committed all the same; `first` is then a little behind, and whoever reads from there is told so by the store.
  }
  outcome.head = channel.record.head;
  outcome.first = channel.record.first;
  outcome.items = channel.record.items;
}

GroupOutcome Committer::commit(std::span<const PollInput> inputs, std::span<const Write> others, Patience patience) {
  GroupOutcome group;
  group.polls.resize(inputs.size());
  std::vector<Write> writes(others.begin(), others.end());
  std::unordered_set<std::string> forgotten;
  for (const Write& other : others) {
    if (const auto* forget = std::get_if<ForgetWrite>(&other)) forgotten.insert(forget->channel);
  }
  const auto fail = [](PollOutcome& outcome, const StoreError& error) {
    outcome.kind = PollOutcome::Kind::store_failed;
    outcome.problem = error.what();
  };

  std::vector<Plan> plans;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    try {
      auto made = plan(inputs[i], forgotten.contains(inputs[i].channel), group.polls[i]);
      group.polls[i].diff = std::chrono::steady_clock::now() - begin;
      if (made) {
        made->input = i;
        PollOutcome& outcome = group.polls[i];
        const auto since = inputs[i].now - made->channel->written;
        outcome.deferred = patience.polls && made->unchanged && since >= Seconds(0) && since < longest_deferred;
        if (outcome.deferred) {
          outcome.skipped = made->skipped;
          outcome.repeated = made->repeated;
          outcome.repeats_until = made->channel->repeats_until();
          continue;
        }
        plans.push_back(std::move(*made));
      }
    } catch (const StoreError& error) {
      fail(group.polls[i], error);
    }
  }
  // The writes are handed over and taken back: they may hold a million items.
  const std::size_t first_plan = writes.size();
  for (Plan& made : plans) writes.emplace_back(std::move(made.write));
  if (writes.empty() || (plans.empty() && patience.others)) return group;
  group.written = true;
  try {
    store_.commit(writes);
  } catch (const StoreError& error) {
    group.written = false;
    group.problem = error.what();
    for (const Plan& made : plans) fail(group.polls[made.input], error);
    return group;
  }
  for (const std::string& channel : forgotten) channels_.erase(channel);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    Plan& made = plans[i];
    made.write = std::move(std::get<PollWrite>(writes[first_plan + i]));
    remember(made, group.polls[made.input]);
    made.channel->written = inputs[made.input].now;
    group.polls[made.input].repeats_until = made.channel->repeats_until();
    if (made.fresh) channels_[inputs[made.input].channel] = std::move(made.fresh);
  }
  return group;
}

}  // namespace restream
