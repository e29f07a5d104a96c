// The subscriptions of one connection, and how each is kept whole. Runs on: serve.
//
// channel/feed.hpp tells the rule. A subscription whose cursor is at the channel's head is sent batches as they come;
// one that is behind (a snapshot or history to send, a batch that the outbox had no room for, a gap) reads from the log
// as the outbox drains, one read at a time for the whole connection, and is told its statuses when it gets to the
// events that came before them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "channel/feed.hpp"
#include "serve/channel_table.hpp"
#include "serve/connection.hpp"
#include "serve/delivery.hpp"
#include "serve/stream_id.hpp"

namespace restream {

class Subscriptions : public std::enable_shared_from_this<Subscriptions> {
 public:
  // `lost` is called with a position when the events after it have left the log; it may call clear(). `ids`: of an
  // event stream of several channels, else null.
  Subscriptions(std::shared_ptr<Connection> connection, Framing framing, std::unique_ptr<StreamId> ids,
                std::function<void(std::string)> lost);
  ~Subscriptions();
  Subscriptions(const Subscriptions&) = delete;
  Subscriptions& operator=(const Subscriptions&) = delete;

  // Sends `subscribed`, then whatever is due. The attach is detached when the subscription goes.
  // `id_place`: which of the channels of `ids` it is.
  void add(const Attached& attached, const Delivery& delivery, std::size_t id_place = 0);
  // The channel at that place of `ids` is followed at another one.
  void named_twice(std::size_t id_place);
  // Null when there is none.
  [[nodiscard]] const Subscription* find(ChannelNumber number) const;
  // The one that these params name by themselves: those told in its messages, or (not `whole`) a part of them that fits
  // no other one. Null when there is none.
  [[nodiscard]] const Subscription* named(const std::string& fetcher, const Params& params, bool whole) const;
  [[nodiscard]] std::size_t size() const { return all_.size(); }
  void remove(ChannelNumber number);
  void clear();
  // In the order in which they were made.
  [[nodiscard]] std::vector<std::shared_ptr<const std::string>> labels() const;

  // Up to where a subscription was sent.
  static Position position(const Subscription& subscription);
  // A position to resume from, of a subscription that is behind if there is one. Those that wait for their snapshot
  // have none. Empty: there is no other.
  [[nodiscard]] std::string resume_position() const;

  // Sends an `error` message about `request`.
  void send_error(std::string_view code, std::string_view message, std::string_view request);

  void on_batch(Subscription& subscription, const Announcement& announcement);
  // Live bytes of which the kernel took only so many.
  void on_partly_sent(const Frames& bytes, std::size_t sent) { connection_->send(bytes, Outbox::Kind::live, sent); }
  void on_status(Subscription& subscription, const Frames& frame);
  void on_room();
  void tick(SteadyTime now);

 private:
  void send(const Subscription& subscription, const Frames& bytes, Outbox::Kind kind = Outbox::Kind::other);
  void greet(Subscription& subscription, const Attached& attached);
  void settle(Subscription& subscription);
  [[nodiscard]] bool goes_straight(const Subscription& subscription) const;
  void take(Subscription& subscription, const Frames& bytes, std::uint64_t last, std::uint64_t told, Outbox::Kind kind);
  [[nodiscard]] bool early(const Subscription& subscription) const;
  [[nodiscard]] bool has_room(const Subscription& subscription, const Frames& bytes, std::uint64_t told) const;
  void send_snapshot(const Subscription& subscription, const Frames& bytes);
  void rest(Subscription& subscription) const;
  void wait_turn(Subscription& subscription);
  void read_next();
  void read_snapshot(Subscription& subscription);
  void read_history(Subscription& subscription);
  Subscription* finish_read(std::uint32_t serial);
  void on_snapshot(std::uint32_t serial, const std::expected<SnapshotChunk, HistoryProblem>& chunk);
  void on_history(std::uint32_t serial, const std::expected<HistoryChunk, HistoryProblem>& chunk);
  void read_later(Subscription& subscription, const std::string& problem);
  void leave(Subscription& subscription);

  std::shared_ptr<Connection> connection_;
  const Framing framing_;
  std::unique_ptr<StreamId> ids_;
  std::function<void(std::string)> lost_;
  std::vector<std::unique_ptr<Subscription>> all_;
  std::vector<std::uint32_t> turns_;  // serials of those that wait to read, few; an empty deque has 600 bytes
  std::uint32_t serial_ = 0;
  std::size_t with_interval_ = 0;
  bool reading_ = false;
  SteadyTime retry_at_ = SteadyTime::max();
};

}  // namespace restream
