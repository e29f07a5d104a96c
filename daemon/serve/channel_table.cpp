#include "serve/channel_table.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "serve/stats.hpp"
#include "serve/subscriptions.hpp"

namespace restream {

namespace {

// Straight to the socket of a subscriber that is up to date: the path that nearly every event takes to nearly everyone.
// Returns how many bytes the kernel took; 0 when it was not tried, or failed in whatever way, and all is still to do.
std::size_t send_straight(const Follower& follower, const Announcement& announcement, const Gates& gates) {
  const int descriptor = gates[follower.gate];
  const Frames& frames = announcement.frames[follower.form];
  if (!follower.direct || follower.cursor != announcement.after || descriptor == Gates::shut || !frames) return 0;
  const ssize_t size = ::send(descriptor, frames->data(), frames->size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return size < 0 ? 0 : static_cast<std::size_t>(size);
}

}  // namespace

void ChannelTable::add(Subscription& subscription, const Follower& follower, const Attached& attached) {
  ThreadChannel& channel = channels_[attached.channel];
  channel.number = attached.channel;
  channel.label = attached.label;
  channel.epoch = attached.head.epoch;
  // Replies and announcements come on one queue, so this is the head already known, or news to a thread that had
  // nobody on the channel.
  channel.head = std::max(channel.head, attached.head.offset);
  subscription.channel = &channel;
  subscription.place = static_cast<std::uint32_t>(channel.followers.size());
  channel.followers.push_back(follower);
}

void ChannelTable::remove(Subscription& subscription) {
  std::vector<Follower>& list = subscription.channel->followers;
  list[subscription.place] = list.back();
  list[subscription.place].subscription->place = subscription.place;
  list.pop_back();
  const ChannelNumber number = std::exchange(subscription.channel, nullptr)->number;
  if (list.empty()) channels_.erase(number);
}

void ChannelTable::announce(const Announcement& announcement, const Gates& gates, ServeStats& stats) {
  const auto found = channels_.find(announcement.channel);
  if (found == channels_.end()) return;
  ThreadChannel& channel = found->second;
  channel.head = std::max(channel.head, announcement.last);
  std::uint64_t straight = 0;
  std::uint64_t bytes = 0;
  // Sending never ends a session from within: the list stays as it is.
  for (Follower& follower : channel.followers) {
    const std::size_t sent = send_straight(follower, announcement, gates);
    if (sent == 0) {
      follower.subscription->owner->on_batch(*follower.subscription, announcement);
      continue;
    }
    follower.cursor = announcement.last;
    ++straight;
    bytes += sent;
    const Frames& frames = announcement.frames[follower.form];
    if (sent < frames->size()) follower.subscription->owner->on_partly_sent(frames, sent);
  }
  stats.deliveries.add(straight * (announcement.last - announcement.after));
  stats.sent_bytes.add(bytes);
}

void ChannelTable::announce_status(const StatusAnnouncement& announcement) {
  const auto found = channels_.find(announcement.channel);
  if (found == channels_.end()) return;
  for (const Follower& follower : found->second.followers) {
    Subscription& subscription = *follower.subscription;
    subscription.owner->on_status(subscription,
                                  announcement.frames[static_cast<std::size_t>(subscription.form.framing)]);
  }
}

const ThreadChannel* ChannelTable::find(ChannelNumber number) const {
  const auto found = channels_.find(number);
  return found == channels_.end() ? nullptr : &found->second;
}

}  // namespace restream
