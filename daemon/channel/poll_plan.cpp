#include "channel/poll_plan.hpp"

#include <algorithm>
#include <string_view>

namespace restream {

namespace {

constexpr std::uint32_t polls_until_removed = 2;
constexpr std::chrono::hours forgotten_together{1};
// Of items that left: some APIs have new ids for everything, every time.
constexpr std::size_t most_remembered = 10'000;
constexpr std::size_t candidates_at_once = 256;  // parsed items, and told bytes, in memory
constexpr std::size_t candidate_bytes_at_once = 4U << 20U;

using Ids = TextSet<std::string_view>;
using Items = TextMap<std::string>;

// The API's order, with the items that it left out but that stay for now: each behind the item it stood behind.
std::vector<std::string> merged_order(const std::vector<SlicedItem>& items, const Ids& present,
                                      const std::vector<std::string>& before, const Ids& held) {
  std::unordered_map<std::string_view, std::vector<std::string_view>, TextHash> behind;
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

void PollPlan::set(const std::string& id, const KnownItem& known, std::optional<std::string> item) {
  write.items.push_back(ItemWrite{
      .state = {.id = id, .raw = known.raw, .content = known.content, .missing = known.missing, .left = known.left},
      .item = std::move(item)});
}

// What the result holds: new and updated items.
void PollPlan::compare(Store& store, const std::vector<SlicedItem>& items, WallTime now) {
  std::vector<Candidate> candidates;
  std::size_t bytes = 0;  // of those
  for (const SlicedItem& item : items) {
    if (item.seen) continue;  // and it was there at the last poll, so it is not back either
    KnownItem state{
        .raw = fingerprint_bytes(item.json), .content = {}, .missing = 0, .rules = rules_number, .left = {}};
    const auto found = channel->known.find(item.id);
    const KnownItem* before = found == channel->known.end() ? nullptr : &found->second;
    if (before != nullptr && before->raw == state.raw) {
      state.content = before->content;
      if (before->missing != 0 || before->left) set(item.id, state);  // it is back
      continue;
    }
    ParsedItem parsed(item.json);
    state.content = parsed.content(rules->diff);
    // A content that is by other rules says nothing: then only the told item can say what changed.
    if (before != nullptr && before->rules == rules_number && before->content == state.content) {
      set(item.id, state);
      continue;
    }
    candidates.push_back(Candidate{.item = &item, .parsed = std::move(parsed), .now = state, .before = before});
    bytes += item.json.size();
    if (candidates.size() < candidates_at_once && bytes < candidate_bytes_at_once) continue;
    tell_changes(store, candidates, now);
    bytes = 0;
  }
  tell_changes(store, candidates, now);
}

// Of items whose content is another, or which are new. Leaves `candidates` empty.
void PollPlan::tell_changes(Store& store, std::vector<Candidate>& candidates, WallTime now) {
  if (candidates.empty()) return;
  std::vector<std::string> ids;  // of the known ones: only their bytes are read
  for (const Candidate& candidate : candidates) {
    if (candidate.before != nullptr) ids.push_back(candidate.item->id);
  }
  const auto told = store.items(write.channel, ids);
  for (const Candidate& candidate : candidates) {
    const SlicedItem& item = *candidate.item;
    const auto before = candidate.before == nullptr ? told.end() : told.find(item.id);
    if (candidate.before == nullptr || before == told.end()) {
      tell(now, Change{.kind = ChangeKind::new_item, .id = item.id, .item = item.json, .patch = {}, .undo = {}});
      set(item.id, candidate.now, item.json);
      continue;
    }
    const bool other_rules = candidate.before->rules != rules_number;
    const bool same = other_rules && content_fingerprint(before->second, rules->diff) == candidate.now.content;
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

void PollPlan::forget_who_left(const TextSet<std::string_view>& present, WallTime now) {
  for (const auto& [id, known] : channel->known) {
    if (!known.left || present.contains(id)) continue;
    const WallTime forgotten = *known.left + remembered_after_leaving;
    if (forgotten <= now)
      write.forgotten.push_back(id);
    else
      next_forgotten = std::min(next_forgotten.value_or(WallTime::max()), forgotten);
  }
  // From a list that loses an item at every poll one is due at every poll, too: they may wait for each other.
  if (next_forgotten) next_forgotten = std::max(*next_forgotten, now + forgotten_together);
}

// Of those that left, and of which there are `more` now, the ones that left first.
void PollPlan::forget_too_many(const TextSet<std::string_view>& present, std::size_t more) {
  const std::size_t most = std::max(most_remembered, 2 * present.size());
  if (channel->known.size() - channel->order.size() + more <= most) return;
  std::vector<std::pair<WallTime, const std::string*>> left;
  for (const auto& [id, known] : channel->known)
    if (known.left && !present.contains(id)) left.emplace_back(*known.left, &id);
  // Some at once, since all are looked at for it.
  const std::size_t stay = most - most / 10;
  const std::size_t go = std::min(left.size(), left.size() + more > most ? left.size() + more - stay : 0);
  const auto end = left.begin() + static_cast<std::ptrdiff_t>(go);
  std::ranges::nth_element(left, end, {}, &std::pair<WallTime, const std::string*>::first);
  for (auto one = left.begin(); one != end; ++one) write.forgotten.push_back(*one->second);
}

// What the result lacks: items that are removed, leave, wait for a second opinion, or are forgotten.
void PollPlan::leave_out(Store& store, const std::vector<SlicedItem>& items, WallTime now) {
  const bool somebody_is_due = channel->next_forgotten && now >= *channel->next_forgotten;
  next_forgotten = somebody_is_due ? std::nullopt : channel->next_forgotten;
  // In most polls of a long list all are in their places.
  if (!somebody_is_due && std::ranges::equal(items, channel->order, {}, &SlicedItem::id)) return;
  Ids present;
  for (const SlicedItem& item : items) present.insert(item.id);
  // One empty list is more often an API's hiccup than the end of everything.
  suddenly_empty = items.empty() && !channel->order.empty() && !channel->suddenly_empty;
  undecided = suddenly_empty;
  Ids held;
  std::vector<std::string> removed;
  std::size_t leaving = 0;
  for (const std::string& id : channel->order) {
    if (present.contains(id)) continue;
    KnownItem state = channel->known.at(id);
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
      ++leaving;
      next_forgotten = std::min(next_forgotten.value_or(WallTime::max()), now + remembered_after_leaving);
    }
  }
  auto told = removed.empty() ? Items{} : store.items(write.channel, removed);
  for (std::string& id : removed) {
    tell(now, Change{.kind = ChangeKind::removed_item, .id = id, .item = {}, .patch = {}, .undo = std::move(told[id])});
    write.forgotten.push_back(std::move(id));
  }
  // A list that moves fast has many that left, so they are looked at when the first of them may be due, not at every
  // poll. (If that one came back meanwhile, nobody is forgotten, and the time of the next is known.)
  if (somebody_is_due)
    forget_who_left(present, now);
  else if (leaving > 0)
    forget_too_many(present, leaving);
  std::vector<std::string> order = merged_order(items, present, channel->order, held);
  if (order != channel->order) write.order = std::move(order);
}

}  // namespace restream
