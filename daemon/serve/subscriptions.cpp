#include "serve/subscriptions.hpp"

#include <algorithm>
#include <utility>

#include "serve/loop.hpp"

namespace restream {

namespace {

constexpr std::size_t history_chunk = 256U << 10U;
// More transitions than this while a subscriber catches up: the oldest are not told.
constexpr std::size_t kept_statuses = 16;
constexpr Seconds read_again_after{1};

}  // namespace

Subscriptions::Subscriptions(std::shared_ptr<Connection> connection, std::function<void(std::string)> lost)
    : connection_(std::move(connection)), lost_(std::move(lost)) {}

Subscriptions::~Subscriptions() { clear(); }

void Subscriptions::add(const Attached& attached, Deliver deliver, bool snapshot) {
  Subscription& subscription = *all_.emplace_back(std::make_unique<Subscription>());
  subscription.owner = this;
  subscription.connection = connection_.get();
  subscription.serial = ++serial_;
  subscription.number = attached.channel;
  subscription.deliver = deliver;
  subscription.label = attached.label;
  subscription.epoch = attached.head.epoch;
  subscription.cursor = attached.resumed ? attached.cursor : attached.head.offset;
  subscription.awaiting_snapshot = !attached.resumed && snapshot;
  connection_->loop().channels().add(subscription, attached.head.offset);

  const Position from{.epoch = subscription.epoch, .offset = subscription.cursor};
  connection_->send(frame(subscribed_json(*subscription.label, from, attached.resumed)));
  if (subscription.awaiting_snapshot && attached.head.offset == 0) {
    // Nothing ever happened here, so the snapshot is empty; one read from the store could already hold the first items,
    // which are to come as new ones.
    connection_->send(frame(snapshot_json(*subscription.label, from, {})));
    subscription.awaiting_snapshot = false;
  }
  if (attached.status) subscription.statuses.push_back({attached.head.offset, attached.status});
  settle(subscription);
}

const Subscription* Subscriptions::find(ChannelNumber number) const {
  for (const auto& subscription : all_)
    if (subscription->number == number) return subscription.get();
  return nullptr;
}

std::vector<std::shared_ptr<const std::string>> Subscriptions::labels() const {
  std::vector<std::shared_ptr<const std::string>> labels;
  labels.reserve(all_.size());
  for (const auto& subscription : all_) labels.push_back(subscription->label);
  return labels;
}

void Subscriptions::leave(Subscription& subscription) {
  Loop& loop = connection_->loop();
  loop.channels().remove(subscription);
  loop.feed().detach(loop.number(), subscription.number, subscription.deliver, connection_->address());
}

void Subscriptions::remove(ChannelNumber number) {
  const auto found = std::ranges::find(all_, number, [](const auto& subscription) { return subscription->number; });
  if (found == all_.end()) return;
  leave(**found);
  all_.erase(found);
}

void Subscriptions::clear() {
  for (const auto& subscription : all_) leave(*subscription);
  all_.clear();
  turns_.clear();
}

Position Subscriptions::position(const Subscription& subscription) {
  return {.epoch = subscription.epoch, .offset = subscription.cursor};
}

std::string Subscriptions::resume_position() const {
  const Subscription* one = nullptr;
  for (const auto& subscription : all_)
    if (one == nullptr || (!one->behind() && subscription->behind())) one = subscription.get();
  return one == nullptr ? std::string() : to_text(position(*one));
}

void Subscriptions::on_batch(Subscription& subscription, const Announcement& announcement) {
  // The snapshot will be of this batch or a later one.
  if (subscription.awaiting_snapshot || announcement.last <= subscription.cursor) return;
  const Frames& bytes = announcement.frames[static_cast<std::size_t>(subscription.deliver)];
  const Outbox& outbox = connection_->outbox();
  const bool room = bytes && (outbox.live_queued() == 0 ||
                              outbox.live_queued() + bytes->size() <= connection_->loop().options().send_queue);
  if (announcement.after == subscription.cursor && room && !subscription.reading) {
    connection_->send(bytes, Outbox::Kind::live);
    subscription.cursor = announcement.last;
  } else {
    wait_turn(subscription);
    read_next();
  }
}

void Subscriptions::on_status(Subscription& subscription, const Frames& frame) {
  if (!subscription.behind()) {
    connection_->send(frame);
    return;
  }
  if (subscription.statuses.size() >= kept_statuses) subscription.statuses.erase(subscription.statuses.begin());
  subscription.statuses.push_back({subscription.channel->head, frame});
}

// After the cursor moved: statuses that are due, then whatever more there is to read.
void Subscriptions::settle(Subscription& subscription) {
  if (!subscription.awaiting_snapshot) {
    std::vector<KeptStatus>& statuses = subscription.statuses;
    auto due = statuses.begin();
    for (; due != statuses.end() && due->head <= subscription.cursor; ++due) connection_->send(due->frame);
    statuses.erase(statuses.begin(), due);
  }
  if (subscription.behind()) wait_turn(subscription);
  read_next();
}

void Subscriptions::wait_turn(Subscription& subscription) {
  if (subscription.waiting || subscription.reading || subscription.retry) return;
  subscription.waiting = true;
  turns_.push_back(subscription.serial);
}

void Subscriptions::on_room() { read_next(); }

void Subscriptions::read_next() {
  while (!reading_ && !turns_.empty() && connection_->outbox().queued() < Connection::low_water &&
         !connection_->ending()) {
    const std::uint64_t serial = turns_.front();
    turns_.pop_front();
    const auto found = std::ranges::find(all_, serial, [](const auto& subscription) { return subscription->serial; });
    if (found == all_.end()) continue;
    Subscription& subscription = **found;
    subscription.waiting = false;
    if (!subscription.behind()) continue;
    reading_ = subscription.reading = true;
    if (subscription.awaiting_snapshot)
      read_snapshot(subscription);
    else
      read_history(subscription);
  }
}

void Subscriptions::read_snapshot(Subscription& subscription) {
  using Reply = std::expected<SnapshotChunk, HistoryProblem>;
  Loop& loop = connection_->loop();
  loop.feed().read_snapshot(
      subscription.number,
      loop.on_loop<Reply>([weak = weak_from_this(), serial = subscription.serial](const Reply& chunk) {
        if (const auto self = weak.lock()) self->on_snapshot(serial, chunk);
      }));
}

void Subscriptions::read_history(Subscription& subscription) {
  using Reply = std::expected<HistoryChunk, HistoryProblem>;
  Loop& loop = connection_->loop();
  loop.feed().read_events(
      subscription.number, subscription.cursor, subscription.deliver, history_chunk,
      loop.on_loop<Reply>([weak = weak_from_this(), serial = subscription.serial](const Reply& chunk) {
        if (const auto self = weak.lock()) self->on_history(serial, chunk);
      }));
}

// Null when the subscription went while the read was under way.
Subscription* Subscriptions::finish_read(std::uint64_t serial) {
  reading_ = false;
  const auto found = std::ranges::find(all_, serial, [](const auto& subscription) { return subscription->serial; });
  if (found == all_.end()) {
    read_next();
    return nullptr;
  }
  (*found)->reading = false;
  return found->get();
}

void Subscriptions::on_snapshot(std::uint64_t serial, const std::expected<SnapshotChunk, HistoryProblem>& chunk) {
  Subscription* subscription = finish_read(serial);
  if (subscription == nullptr) return;
  if (!chunk) return read_later(*subscription, chunk.error().message);
  connection_->send(chunk->frames);
  subscription->awaiting_snapshot = false;
  subscription->excused = false;
  subscription->cursor = chunk->offset;
  settle(*subscription);
}

void Subscriptions::on_history(std::uint64_t serial, const std::expected<HistoryChunk, HistoryProblem>& chunk) {
  Subscription* subscription = finish_read(serial);
  if (subscription == nullptr) return;
  if (!chunk && chunk.error().gone) return lost_(to_text(position(*subscription)));
  if (!chunk) return read_later(*subscription, chunk.error().message);
  // Announced events are in the log; should the log disagree, asking at once again would only keep it busy.
  if (!chunk->frames || chunk->last <= subscription->cursor) return read_later(*subscription, {});
  connection_->send(chunk->frames);
  subscription->excused = false;
  subscription->cursor = chunk->last;
  settle(*subscription);
}

void Subscriptions::read_later(Subscription& subscription, const std::string& problem) {
  if (!problem.empty() && !std::exchange(subscription.excused, true))
    connection_->send(frame(error_json("unavailable", problem, "{" + *subscription.label + "}")));
  subscription.retry = true;
  retry_at_ = std::min(retry_at_, connection_->loop().now() + read_again_after);
  read_next();
}

void Subscriptions::tick(SteadyTime now) {
  if (now < retry_at_) return;
  retry_at_ = SteadyTime::max();
  for (const auto& subscription : all_)
    if (std::exchange(subscription->retry, false)) wait_turn(*subscription);
  read_next();
}

}  // namespace restream
