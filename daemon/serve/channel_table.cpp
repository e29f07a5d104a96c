#include "serve/channel_table.hpp"

#include <algorithm>

#include "serve/subscriptions.hpp"

namespace restream {

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
  for (Subscription* subscription : channel.subscriptions) subscription->owner->on_batch(*subscription, announcement);
}

void ChannelTable::announce_status(const StatusAnnouncement& announcement) {
  const auto found = channels_.find(announcement.channel);
  if (found == channels_.end()) return;
  for (Subscription* subscription : found->second.subscriptions)
    subscription->owner->on_status(*subscription,
                                   announcement.frames[static_cast<std::size_t>(subscription->form.framing)]);
}

const ThreadChannel* ChannelTable::find(ChannelNumber number) const {
  const auto found = channels_.find(number);
  return found == channels_.end() ? nullptr : &found->second;
}

}  // namespace restream
