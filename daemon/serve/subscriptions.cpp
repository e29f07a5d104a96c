#include "serve/subscriptions.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "serve/loop.hpp"

namespace restream {

namespace {

constexpr std::size_t history_chunk = 256U << 10U;
// A small event, as the log counts it.
constexpr std::size_t event_size = 64;
// More transitions than this while a subscriber catches up: the oldest are not told.
constexpr std::size_t kept_statuses = 16;
constexpr Seconds read_again_after{1};

}  // namespace

Subscriptions::Subscriptions(std::shared_ptr<Connection> connection, Framing framing, std::unique_ptr<StreamId> ids,
                             std::function<void(std::string)> lost)
    : connection_(std::move(connection)), framing_(framing), ids_(std::move(ids)), lost_(std::move(lost)) {}

Subscriptions::~Subscriptions() { clear(); }

void Subscriptions::add(const Attached& attached, const Delivery& delivery, std::size_t id_place) {
  Subscription& subscription = *all_.emplace_back(std::make_unique<Subscription>());
  subscription.owner = this;
  subscription.serial = ++serial_;
  subscription.form = attached.form;
  if (delivery.interval > Seconds{0}) {
    subscription.pauses = std::make_unique<Pauses>(Pauses{.interval = delivery.interval, .due = {}});
    ++with_interval_;
  }
  subscription.id_place = static_cast<std::uint32_t>(id_place);
  subscription.awaiting_snapshot = !attached.resumed && delivery.snapshot;
  const Follower follower{.subscription = &subscription,
                          .cursor = attached.resumed ? attached.cursor : attached.head.offset,
                          .gate = connection_->gate(),
                          .form = static_cast<std::uint8_t>(attached.form.index())};
  connection_->loop().channels().add(subscription, follower, attached);
  connection_->loop().stats().followers.at(static_cast<std::size_t>(framing_)).add();
  greet(subscription, attached);
  if (attached.status)
    subscription.statuses =
        std::make_unique<std::vector<KeptStatus>>(1, KeptStatus{attached.head.offset, attached.status});
  settle(subscription);
}

// While a snapshot is due the cursor means nothing; the other things want a closer look at each batch.
bool Subscriptions::goes_straight(const Subscription& subscription) const {
  return !subscription.awaiting_snapshot && !ids_ && !subscription.pauses && subscription.form.filter == 0 &&
         !subscription.form.conflated;
}

// `subscribed`, and the snapshot if it is empty.
void Subscriptions::greet(Subscription& subscription, const Attached& attached) {
  const Position from = position(subscription);
  // Nothing ever happened here, so the snapshot is empty; one read from the store could already hold the first items,
  // which are to come as new ones.
  const bool empty = subscription.awaiting_snapshot && attached.head.offset == 0;
  if (empty) subscription.awaiting_snapshot = false;
  const std::string json = subscribed_json(*subscription.channel->label, from, attached.resumed);
  const bool no_id = ids_ && subscription.awaiting_snapshot;
  if (no_id) ids_->forget(subscription.id_place);
  send(subscription, encode(framing_, "subscribed", no_id ? "" : to_text(from), json, *subscription.channel->label));
  // A reader that loses the stream before it has the snapshot must not resume behind it: this block has no data, so it
  // is no event, and makes readers forget the id.
  if (framing_ == Framing::sse && !ids_ && subscription.awaiting_snapshot)
    connection_->send(std::make_shared<const std::string>("id:\n\n"));
  if (empty)
    send(subscription, encode(framing_, "snapshot", to_text(from),
                              snapshot_json(*subscription.channel->label, from, {}), *subscription.channel->label));
}

void Subscriptions::named_twice(std::size_t id_place) {
  if (ids_) ids_->forget(id_place);
}

void Subscriptions::send(const Subscription& subscription, const Frames& bytes, Outbox::Kind kind) {
  connection_->send(ids_ ? ids_->rewrite(subscription.id_place, *bytes) : bytes, kind);
}

// A snapshot may be large, and many may wait for the same: its bytes are shared, but for the id.
void Subscriptions::send_snapshot(const Subscription& subscription, const Frames& bytes) {
  if (!ids_) return connection_->send(bytes);
  const StreamId::Head head = ids_->rewrite_head(subscription.id_place, *bytes);
  connection_->send(head.line);
  connection_->send(bytes, Outbox::Kind::other, head.rest);
}

void Subscriptions::send_error(std::string_view code, std::string_view message, std::string_view request) {
  connection_->send(encode(framing_, "error", {}, error_json(code, message, request)));
}

const Subscription* Subscriptions::find(ChannelNumber number) const {
  for (const auto& subscription : all_)
    if (subscription->channel->number == number) return subscription.get();
  return nullptr;
}

const Subscription* Subscriptions::named(const std::string& fetcher, const Params& params, bool whole) const {
  const Subscription* found = nullptr;
  for (const auto& subscription : all_) {
    const auto label = nlohmann::json::parse("{" + *subscription->channel->label + "}");
    const auto& told = label.at("params");
    const auto fits = [&told](const auto& one) { return told.value(one.first, nlohmann::json()) == one.second; };
    if (label.at("channel") != fetcher || !std::ranges::all_of(params, fits)) continue;
    if (whole && params.size() != told.size()) continue;
    if (found != nullptr) return nullptr;
    found = subscription.get();
  }
  return found;
}

std::vector<std::shared_ptr<const std::string>> Subscriptions::labels() const {
  std::vector<std::shared_ptr<const std::string>> labels;
  labels.reserve(all_.size());
  for (const auto& subscription : all_) labels.push_back(subscription->channel->label);
  return labels;
}

void Subscriptions::leave(Subscription& subscription) {
  Loop& loop = connection_->loop();
  const ChannelNumber number = subscription.channel->number;
  loop.channels().remove(subscription);
  if (subscription.pauses) --with_interval_;
  loop.stats().followers.at(static_cast<std::size_t>(framing_)).subtract(1);
  loop.feed().detach(loop.number(), number, subscription.form);
}

void Subscriptions::remove(ChannelNumber number) {
  const auto found =
      std::ranges::find(all_, number, [](const auto& subscription) { return subscription->channel->number; });
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
  return {.epoch = subscription.channel->epoch, .offset = subscription.cursor()};
}

std::string Subscriptions::resume_position() const {
  const Subscription* one = nullptr;
  for (const auto& subscription : all_) {
    // Whoever resumed from there would be told of what comes after a snapshot that it was never sent.
    if (subscription->awaiting_snapshot) continue;
    if (one == nullptr || (!one->behind() && subscription->behind())) one = subscription.get();
  }
  return one == nullptr ? std::string() : to_text(position(*one));
}

void Subscriptions::on_batch(Subscription& subscription, const Announcement& announcement) {
  // The snapshot will be of this batch or a later one.
  if (subscription.awaiting_snapshot || announcement.last <= subscription.cursor()) return;
  const std::size_t form = subscription.form.index();
  const bool plain = subscription.form.filter == 0;
  const auto* filtered = plain ? nullptr : announcement.find(subscription.form.filter);
  // What came into use while the events were being encoded has no frames: those read the log.
  static const Frames none;
  const Frames& bytes = plain ? announcement.frames[form] : filtered != nullptr ? filtered->frames[form] : none;
  const std::uint64_t told = filtered == nullptr ? announcement.last - announcement.after : filtered->told;
  const bool next = bytes && announcement.after == subscription.cursor() && !subscription.reading;
  if (next && (told == 0 || has_room(subscription, bytes, told))) {
    take(subscription, bytes, announcement.last, told, Outbox::Kind::live);
  } else {
    wait_turn(subscription);
    read_next();
  }
}

// Events up to `last`, of which it is told `told`: with a filter maybe of none, and then nothing is sent.
void Subscriptions::take(Subscription& subscription, const Frames& bytes, std::uint64_t last, std::uint64_t told,
                         Outbox::Kind kind) {
  subscription.follower().cursor = last;
  if (told == 0) return;
  connection_->loop().stats().deliveries.add(told);
  send(subscription, bytes, kind);
  rest(subscription);
}

// Whether a batch may go straight to the socket.
bool Subscriptions::has_room(const Subscription& subscription, const Frames& bytes, std::uint64_t told) const {
  const Outbox& outbox = connection_->outbox();
  const std::size_t most = connection_->loop().options().send_queue;
  // With ids of its own it is a copy that would wait; the log can be copied in pieces.
  if (ids_ && outbox.live_queued() + bytes->size() + told * ids_->size() > most) return false;
  // What waits in the queue cannot be conflated any more; in the log it can.
  if (subscription.form.conflated) return outbox.queued() == 0 && !early(subscription);
  return outbox.live_queued() == 0 || outbox.live_queued() + bytes->size() <= most;
}

bool Subscriptions::early(const Subscription& subscription) const {
  return subscription.pauses && connection_->loop().clock().steady() < subscription.pauses->due;
}

// Events were sent: until when no more may be. What is left over of a long log follows at once.
void Subscriptions::rest(Subscription& subscription) const {
  if (subscription.pauses && !subscription.behind())
    subscription.pauses->due = connection_->loop().clock().steady() + subscription.pauses->interval;
}

void Subscriptions::on_status(Subscription& subscription, const Frames& frame) {
  if (!subscription.behind()) {
    connection_->send(frame);
    return;
  }
  if (!subscription.statuses) subscription.statuses = std::make_unique<std::vector<KeptStatus>>();
  std::vector<KeptStatus>& statuses = *subscription.statuses;
  if (statuses.size() >= kept_statuses) statuses.erase(statuses.begin());
  statuses.push_back({subscription.channel->head, frame});
}

// After the cursor moved: statuses that are due, then whatever more there is to read.
void Subscriptions::settle(Subscription& subscription) {
  if (!subscription.awaiting_snapshot && subscription.statuses) {
    std::vector<KeptStatus>& statuses = *subscription.statuses;
    auto due = statuses.begin();
    for (; due != statuses.end() && due->head <= subscription.cursor(); ++due) connection_->send(due->frame);
    statuses.erase(statuses.begin(), due);
    if (statuses.empty()) subscription.statuses.reset();
  }
  subscription.follower().direct = goes_straight(subscription);
  if (subscription.behind()) wait_turn(subscription);
  read_next();
}

void Subscriptions::wait_turn(Subscription& subscription) {
  if (subscription.waiting || subscription.reading || subscription.retry || early(subscription)) return;
  subscription.waiting = true;
  turns_.push_back(subscription.serial);
}

void Subscriptions::on_room() { read_next(); }

void Subscriptions::read_next() {
  while (!reading_ && !turns_.empty() && connection_->outbox().queued() < Connection::low_water &&
         !connection_->ending()) {
    const std::uint32_t serial = turns_.front();
    turns_.erase(turns_.begin());
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
      subscription.channel->number, subscription.form,
      loop.on_loop<Reply>([weak = weak_from_this(), serial = subscription.serial](const Reply& chunk) {
        if (const auto self = weak.lock()) self->on_snapshot(serial, chunk);
      }));
}

void Subscriptions::read_history(Subscription& subscription) {
  using Reply = std::expected<HistoryChunk, HistoryProblem>;
  Loop& loop = connection_->loop();
  // Each event may get an id that is much larger than itself.
  const std::size_t most = ids_ ? history_chunk * event_size / (event_size + ids_->size()) : history_chunk;
  loop.feed().read_events(
      subscription.channel->number, subscription.cursor(), subscription.form, most,
      loop.on_loop<Reply>([weak = weak_from_this(), serial = subscription.serial](const Reply& chunk) {
        if (const auto self = weak.lock()) self->on_history(serial, chunk);
      }));
}

// Null when the subscription went while the read was under way.
Subscription* Subscriptions::finish_read(std::uint32_t serial) {
  reading_ = false;
  const auto found = std::ranges::find(all_, serial, [](const auto& subscription) { return subscription->serial; });
  if (found == all_.end()) {
    read_next();
    return nullptr;
  }
  (*found)->reading = false;
  return found->get();
}

void Subscriptions::on_snapshot(std::uint32_t serial, const std::expected<SnapshotChunk, HistoryProblem>& chunk) {
  Subscription* subscription = finish_read(serial);
  if (subscription == nullptr) return;
  if (!chunk) return read_later(*subscription, chunk.error().message);
  send_snapshot(*subscription, chunk->frames);
  subscription->awaiting_snapshot = false;
  subscription->excused = false;
  subscription->follower().cursor = chunk->offset;
  rest(*subscription);
  settle(*subscription);
}

void Subscriptions::on_history(std::uint32_t serial, const std::expected<HistoryChunk, HistoryProblem>& chunk) {
  Subscription* subscription = finish_read(serial);
  if (subscription == nullptr) return;
  if (!chunk && chunk.error().gone) {
    connection_->loop().stats().slow_disconnects.add();
    return lost_(to_text(position(*subscription)));
  }
  if (!chunk) return read_later(*subscription, chunk.error().message);
  // Announced events are in the log; should the log disagree, asking at once again would only keep it busy.
  if (chunk->last <= subscription->cursor()) return read_later(*subscription, {});
  subscription->excused = false;
  take(*subscription, chunk->frames, chunk->last, chunk->told, Outbox::Kind::other);
  settle(*subscription);
}

void Subscriptions::read_later(Subscription& subscription, const std::string& problem) {
  if (!problem.empty() && !subscription.excused) {
    subscription.excused = true;
    send_error("unavailable", problem, "{" + *subscription.channel->label + "}");
  }
  subscription.retry = true;
  retry_at_ = std::min(retry_at_, connection_->loop().now() + read_again_after);
  read_next();
}

void Subscriptions::tick(SteadyTime now) {
  if (with_interval_ > 0) {
    for (const auto& subscription : all_)
      if (subscription->pauses && subscription->behind()) wait_turn(*subscription);
    read_next();
  }
  if (now < retry_at_) return;
  retry_at_ = SteadyTime::max();
  for (const auto& subscription : all_) {
    if (!subscription->retry) continue;
    subscription->retry = false;
    wait_turn(*subscription);
  }
  read_next();
}

}  // namespace restream
