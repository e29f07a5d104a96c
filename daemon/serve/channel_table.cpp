#include "serve/channel_table.hpp"

#include <algorithm>

#include "serve/connection.hpp"
#include "serve/subscriptions.hpp"

namespace restream {

namespace {

// What is known of a subscriber has left the CPU's caches since its last event. It is called back while the kernel
// sends to the ones before: first the subscription, then what it points to.
constexpr std::size_t ahead = 4;

void prefetch_state(const Subscription& subscription) {
  __builtin_prefetch(subscription.owner);
  constexpr std::size_t cache_line = 64;
  const auto* connection = reinterpret_cast<const char*>(subscription.connection);
  for (std::size_t at = 0; at < sizeof(Connection); at += cache_line) __builtin_prefetch(connection + at);
}

}  // namespace

void ChannelTable::add(Subscription& subscription, std::uint64_t head) {
  ThreadChannel& channel = channels_[subscription.number];
  // Replies and announcements come on one queue, so this is the head already known, or news to a thread that had
  // nobody on the channel.
  channel.head = std::max(channel.head, head);
  subscription.channel = &channel;
  subscription.place = channel.subscriptions.size();
  channel.subscriptions.push_back(&subscription);
}

void ChannelTable::remove(Subscription& subscription) {
  std::vector<Subscription*>& list = subscription.channel->subscriptions;
  list[subscription.place] = list.back();
  list[subscription.place]->place = subscription.place;
  list.pop_back();
  subscription.channel = nullptr;
  if (list.empty()) channels_.erase(subscription.number);
}

void ChannelTable::announce(const Announcement& announcement) {
  const auto found = channels_.find(announcement.channel);
  if (found == channels_.end()) return;
  ThreadChannel& channel = found->second;
  channel.head = std::max(channel.head, announcement.last);
  // Sending never ends a session from within: the list stays as it is.
  const std::vector<Subscription*>& list = channel.subscriptions;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i + 2 * ahead < list.size()) __builtin_prefetch(list[i + 2 * ahead]);
    if (i + ahead < list.size()) prefetch_state(*list[i + ahead]);
    list[i]->owner->on_batch(*list[i], announcement);
  }
}

void ChannelTable::announce_status(const StatusAnnouncement& announcement) {
  const auto found = channels_.find(announcement.channel);
  if (found == channels_.end()) return;
  for (Subscription* subscription : found->second.subscriptions)
    subscription->owner->on_status(*subscription, announcement.frame);
}

const ThreadChannel* ChannelTable::find(ChannelNumber number) const {
  const auto found = channels_.find(number);
  return found == channels_.end() ? nullptr : &found->second;
}

}  // namespace restream
