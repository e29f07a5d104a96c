// Filters: those that ask for the same share one, and each event is read once for all of them.
#include <algorithm>
#include <map>
#include <utility>

#include "channel/hub_impl.hpp"

namespace restream {

namespace {

// Each is work for every event of the channel, on core; so that one client can't take all, an address has a share.
constexpr std::size_t most_filters = 64;
constexpr std::size_t most_filters_per_address = 8;

}  // namespace

std::expected<FilterNumber, FeedError> Hub::Impl::share_filter(Channel& channel, const Filter& filter,
                                                               const std::string& address) {
  std::string key = filter_key(filter);
  for (const auto& [number, shared] : channel.filters)
    if (shared.key == key) return number;
  if (channel.filters.size() >= most_filters)
    return std::unexpected(
        FeedError{"too_many_subscriptions", "the channel's subscribers have " + std::to_string(most_filters) +
                                                " different filters, and more are not possible; subscribe without "
                                                "select and where, or try again later"});
  const auto brought =
      std::ranges::count_if(channel.filters, [&address](const auto& one) { return one.second.brought_by == address; });
  if (static_cast<std::size_t>(brought) >= most_filters_per_address)
    return std::unexpected(FeedError{"too_many_subscriptions",
                                     "your address has brought " + std::to_string(most_filters_per_address) +
                                         " different filters to the channel, and more are not possible; subscribe "
                                         "with one of those, or without select and where"});
  const FilterNumber number = ++channel.last_filter;
  channel.filters.emplace(number, SharedFilter{.key = std::move(key),
                                               .projection = std::make_shared<const Projection>(filter),
                                               .brought_by = address,
                                               .subscribers = {}});
  return number;
}

std::vector<Announcement::Filtered> Hub::Impl::filter_events(const Channel& channel, const EventBatch& batch,
                                                             std::uint64_t epoch) {
  if (channel.filters.empty()) return {};
  std::map<FilterNumber, std::vector<Event>> seen;
  for (const Event& event : batch.events) {
    const BothStates states(event.change);
    for (const auto& [number, filter] : channel.filters)
      if (auto change = states.through(*filter.projection))
        seen[number].push_back({.offset = event.offset, .time = event.time, .change = std::move(*change)});
  }
  std::vector<Announcement::Filtered> filtered;
  for (const auto& [number, filter] : channel.filters) {
    const std::vector<Event>& events = seen[number];
    Announcement::Filtered& one = filtered.emplace_back();
    one.filter = number;
    one.told = events.size();
    for (std::size_t form = 0; form < forms; ++form)
      if (filter.subscribers.at(form) > 0)
        one.frames.at(form) = frame_events(*channel.label, epoch, events, form_at(form));
  }
  return filtered;
}

}  // namespace restream
