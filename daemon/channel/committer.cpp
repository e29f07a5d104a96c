#include "channel/committer.hpp"

#include <algorithm>
#include <utility>

#include "channel/poll_plan.hpp"

namespace restream {

Committer::Committer(Store& store) : store_(store) {}
Committer::~Committer() = default;

void Committer::let_go(const std::string& channel) { channels_.erase(channel); }

void Committer::load(KnownChannel& channel, ChannelRecord record) {
  channel.record = std::move(record);
  for (ItemState& state : store_.item_states(channel.record.channel)) {
    if (state.left)
      channel.next_forgotten =
          std::min(channel.next_forgotten.value_or(WallTime::max()), *state.left + remembered_after_leaving);
    channel.known.emplace(
        std::move(state.id),
        KnownItem{
            .raw = state.raw, .content = state.content, .missing = state.missing, .rules = 0, .left = state.left});
  }
  channel.order = store_.order(channel.record.channel);
  for (const std::string& id : channel.order) {
    if (!channel.known.contains(id)) throw StoreError("the store lacks an item of channel " + channel.record.channel);
  }
}

// Nothing, and `outcome` says why, when the result is refused. Throws StoreError.
std::optional<PollPlan> Committer::plan(const PollInput& input, bool forgotten, PollOutcome& outcome) {
  PollPlan plan;
  if (const auto seen = channels_.find(input.channel); seen != channels_.end() && !forgotten) {
    plan.channel = seen->second.get();
  } else {
    auto made = std::make_unique<KnownChannel>();
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
  const KnownChannel& channel = *plan.channel;
  outcome.head = channel.record.head;
  outcome.first = channel.record.first;
  outcome.items = channel.record.items;

  plan.rules = input.rules;
  plan.rules_number = channel.rules_number + (channel.rules == input.rules ? 0 : 1);
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
  plan.events = std::make_shared<EventBatch>();
  plan.events->after = channel.record.head.offset;
  plan.compare(store_, sliced->items, input.now);
  plan.leave_out(store_, sliced->items, input.now);
  if (!plan.events->events.empty()) plan.write.events = plan.events;
  if (!plan.undecided) plan.layout = layout_of(input.result, *sliced);
  return plan;
}

// The transaction is on disk: from here on this is how things stand.
void Committer::remember(PollPlan& plan, PollOutcome& outcome) {
  KnownChannel& channel = *plan.channel;
  for (const ItemWrite& item : plan.write.items) {
    const ItemState& state = item.state;
    KnownItem& known = channel.known[state.id];
    // Of the same bytes the content was not looked at again.
    const std::uint32_t by = known.raw == state.raw ? known.rules : plan.rules_number;
    known = {.raw = state.raw, .content = state.content, .missing = state.missing, .rules = by, .left = state.left};
  }
  for (const std::string& id : plan.write.forgotten) channel.known.erase(id);
  if (plan.write.order) channel.order = std::move(*plan.write.order);
  channel.result = plan.result;
  if (!plan.unchanged) channel.layout = std::move(plan.layout);
  channel.rules = std::move(plan.rules);
  channel.rules_number = plan.rules_number;
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
  TextSet<> forgotten;
  for (const Write& other : others) {
    if (const auto* forget = std::get_if<ForgetWrite>(&other)) forgotten.insert(forget->channel);
  }
  const auto fail = [](PollOutcome& outcome, const StoreError& error) {
    outcome.kind = PollOutcome::Kind::store_failed;
    outcome.problem = error.what();
  };

  std::vector<PollPlan> plans;
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
  for (PollPlan& made : plans) writes.emplace_back(std::move(made.write));
  if (writes.empty() || (plans.empty() && patience.others)) return group;
  group.written = true;
  try {
    store_.commit(writes);
  } catch (const StoreError& error) {
    group.written = false;
    group.problem = error.what();
    for (const PollPlan& made : plans) fail(group.polls[made.input], error);
    return group;
  }
  for (const std::string& channel : forgotten) channels_.erase(channel);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    PollPlan& made = plans[i];
    made.write = std::move(std::get<PollWrite>(writes[first_plan + i]));
    remember(made, group.polls[made.input]);
    made.channel->written = inputs[made.input].now;
    group.polls[made.input].repeats_until = made.channel->repeats_until();
    if (made.fresh) channels_[inputs[made.input].channel] = std::move(made.fresh);
  }
  return group;
}

}  // namespace restream
