// Which subscriptions of this thread follow which channel. Runs on: serve.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "channel/feed.hpp"
#include "serve/gates.hpp"

namespace restream {

class Subscriptions;
struct ServeStats;
struct Subscription;

// What an announcement needs of a subscription that is up to date. They lie side by side: see Gates.
struct Follower {
  Subscription* subscription = nullptr;
  std::uint64_t cursor = 0;  // the offset up to which events were sent
  Gates::Number gate = 0;    // of its connection
  std::uint8_t form = 0;     // Form::index()
  bool direct = false;  // a batch that starts at the cursor may go straight to the socket, and is all there is to do
};

// A channel as this thread knows it: there while somebody follows it.
struct ThreadChannel {
  ChannelNumber number = 0;
  std::shared_ptr<const std::string> label;
  std::uint64_t epoch = 0;
  std::uint64_t head = 0;  // the offset of the newest event announced to this thread
  std::vector<Follower> followers;
};

// A status that waits until the subscription has been sent the events before it.
struct KeptStatus {
  std::uint64_t head = 0;
  Frames frame;
};

// Of a subscriber that is told only so often.
struct Pauses {
  Seconds interval{0};
  SteadyTime due;  // when events may be sent again
};

// One subscription of one connection. Owned by the connection's Subscriptions, listed in the thread's ChannelTable. A
// connection may have many, so what few of them need is apart.
struct Subscription {
  Subscriptions* owner = nullptr;
  ThreadChannel* channel = nullptr;
  std::uint32_t place = 0;     // in channel->followers
  std::uint32_t serial = 0;    // of the connection; never used twice
  std::uint32_t id_place = 0;  // among the channels of a stream with ids of its own
  Form form;
  // Bits, with which it fits the allocator's 64 bytes.
  bool awaiting_snapshot : 1 = false;  // the cursor means nothing yet
  bool waiting : 1 = false;            // for its turn to read from the log
  bool reading : 1 = false;
  bool retry : 1 = false;                             // the last read failed: once more, a little later
  bool excused : 1 = false;                           // the subscriber was told that the log cannot be read
  std::unique_ptr<Pauses> pauses;                     // null: none
  std::unique_ptr<std::vector<KeptStatus>> statuses;  // null: none

  [[nodiscard]] Follower& follower() const { return channel->followers[place]; }
  [[nodiscard]] std::uint64_t cursor() const { return follower().cursor; }
  [[nodiscard]] bool behind() const { return awaiting_snapshot || cursor() < channel->head; }
};

class ChannelTable {
 public:
  void add(Subscription& subscription, const Follower& follower, const Attached& attached);
  void remove(Subscription& subscription);

  void announce(const Announcement& announcement, const Gates& gates, ServeStats& stats);
  void announce_status(const StatusAnnouncement& announcement);

  // Null when no subscription of this thread follows it.
  [[nodiscard]] const ThreadChannel* find(ChannelNumber number) const;

 private:
  std::unordered_map<ChannelNumber, ThreadChannel> channels_;
};

}  // namespace restream
