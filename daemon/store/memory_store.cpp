#include "store/memory_store.hpp"

#include <algorithm>
#include <utility>

namespace restream {

namespace {

WallTime to_the_millisecond(WallTime time) { return std::chrono::floor<Millis>(time); }

std::optional<WallTime> to_the_millisecond(const std::optional<WallTime>& time) {
  if (!time) return std::nullopt;
  return to_the_millisecond(*time);
}

Schedule to_the_millisecond(const Schedule& schedule) {
  return Schedule{.last_poll = to_the_millisecond(schedule.last_poll),
                  .not_before = to_the_millisecond(schedule.not_before),
                  .failures = schedule.failures,
                  .refused_keys = schedule.refused_keys,
                  .last_demand = to_the_millisecond(schedule.last_demand)};
}

}  // namespace

std::vector<ChannelRecord> MemoryStore::channels() {
  std::vector<ChannelRecord> found;
  for (const auto& [id, channel] : channels_) found.push_back(channel.record);
  return found;
}

std::optional<ChannelRecord> MemoryStore::channel(const std::string& channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return std::nullopt;
  return found->second.record;
}

std::vector<ItemState> MemoryStore::item_states(const std::string& channel) {
  std::vector<ItemState> states;
  if (const auto found = channels_.find(channel); found != channels_.end()) {
    for (const auto& [id, kept] : found->second.items) states.push_back(kept.state);
  }
  return states;
}

std::vector<std::string> MemoryStore::order(const std::string& channel) {
  const auto found = channels_.find(channel);
  return found == channels_.end() ? std::vector<std::string>() : found->second.order;
}

TextMap<std::string> MemoryStore::items(const std::string& channel, std::span<const std::string> ids) {
  TextMap<std::string> items;
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return items;
  for (const std::string& id : ids) {
    if (const auto kept = found->second.items.find(id); kept != found->second.items.end())
      items.emplace(id, kept->second.json);
  }
  return items;
}

std::optional<Snapshot> MemoryStore::snapshot(const std::string& channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return std::nullopt;
  Snapshot snapshot{.position = found->second.record.head, .items = {}};
  for (const std::string& id : found->second.order) {
    const auto kept = found->second.items.find(id);
    if (kept == found->second.items.end()) throw StoreError("the store lacks an item of channel " + channel);
    snapshot.items.push_back(Item{.id = id, .json = kept->second.json});
  }
  return snapshot;
}

std::expected<std::vector<Event>, HistoryGone> MemoryStore::events(const std::string& channel, Position after,
                                                                   std::size_t max_bytes) {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return std::unexpected(HistoryGone());
  const ChannelRecord& record = found->second.record;
  if (record.head.epoch != after.epoch || after.offset > record.head.offset || after.offset + 1 < record.first)
    return std::unexpected(HistoryGone());
  std::vector<Event> events;
  std::size_t bytes = 0;
  for (const Event& event : found->second.events) {
    if (event.offset <= after.offset) continue;
    bytes += size_of(event.change);
    if (!events.empty() && bytes > max_bytes) break;
    events.push_back(event);
  }
  return events;
}

std::vector<QuotaRecord> MemoryStore::quotas() {
  std::vector<QuotaRecord> found;
  found.reserve(quotas_.size());
  for (const auto& [_, record] : quotas_) found.push_back(record);
  return found;
}

MemoryStore::Channel& MemoryStore::find_or_make(Channels& channels, const std::string& id, std::uint64_t epoch) {
  const auto [place, fresh] = channels.try_emplace(id);
  if (fresh) {
    place->second.record.channel = id;
    place->second.record.head.epoch = epoch;
  }
  return place->second;
}

void MemoryStore::apply(Channels& channels, const PollWrite& write) {
  Channel& channel = find_or_make(channels, write.channel, write.epoch);
  ChannelRecord& record = channel.record;
  if (write.events && !write.events->events.empty()) {
    if (write.events->after != record.head.offset)
      throw StoreError("events of channel " + write.channel + " do not follow the ones in the store");
    for (const Event& event : write.events->events) {
      channel.events.push_back(event);
      channel.events.back().offset = ++record.head.offset;
      channel.events.back().time = to_the_millisecond(event.time);
    }
  }
  for (const std::string& id : write.forgotten) channel.items.erase(id);
  for (const ItemWrite& item : write.items) {
    auto kept = channel.items.find(item.state.id);
    if (kept == channel.items.end()) {
      if (!item.item) throw StoreError("channel " + write.channel + " has no item to set the state of");
      kept = channel.items.try_emplace(item.state.id).first;
    }
    kept->second.state = item.state;
    kept->second.state.left = to_the_millisecond(item.state.left);
    if (item.item) kept->second.json = *item.item;
  }
  if (write.order) {
    channel.order = *write.order;
    record.items = write.order->size();
  }
  const auto stays = std::ranges::find_if(channel.events, [&](const Event& event) {
    return !is_trimmed(write.trim, event.time, event.offset, record.head.offset);
  });
  channel.events.erase(channel.events.begin(), stays);
  record.first = channel.events.empty() ? record.head.offset + 1 : channel.events.front().offset;
  record.schedule = to_the_millisecond(write.schedule);
}

void MemoryStore::apply(Channels& channels, const ScheduleWrite& write) {
  find_or_make(channels, write.channel, write.epoch).record.schedule = to_the_millisecond(write.schedule);
}

void MemoryStore::apply(Channels& channels, const ForgetWrite& write) { channels.erase(write.channel); }

void MemoryStore::commit(std::span<const Write> writes) {
  if (!broken.empty()) throw StoreError(broken);
  // On a copy of the channels that are touched, so that a failure in the middle leaves everything as it was.
  Channels touched;
  std::vector<std::string> names;
  for (const Write& write : writes)
    if (const std::string* name = channel_of(write)) names.push_back(*name);
  for (const std::string& name : names) {
    if (const auto found = channels_.find(name); found != channels_.end()) touched.insert(*found);
  }
  std::vector<QuotaRecord> spent;
  for (const Write& write : writes) {
    if (const auto* quota = std::get_if<QuotaWrite>(&write)) {
      spent.push_back(quota->record);
      continue;
    }
    std::visit(
        [&](const auto& one) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(one)>, QuotaWrite>) apply(touched, one);
        },
        write);
  }
  for (QuotaRecord& record : spent) {
    for (QuotaWindow& window : record.windows)
      for (QuotaUse& use : window.uses) use.end = to_the_millisecond(use.end);
    record.api_renews = to_the_millisecond(record.api_renews);
    if (record.empty())
      quotas_.erase(record.budget);
    else
      quotas_[record.budget] = record;
  }
  for (const std::string& name : names) {
    if (const auto found = touched.find(name); found != touched.end())
      channels_[name] = found->second;
    else
      channels_.erase(name);
  }
}

}  // namespace restream
