// Filters: those that ask for the same share one.
#include <algorithm>
#include <utility>

#include "channel/hub_impl.hpp"

namespace restream {

namespace {

// Each is work for every event of the channel; so that one client can't take all, an address has a share.
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

}  // namespace restream
