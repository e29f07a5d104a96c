#include "fetch/quota_budget.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fetch/quota_allowance.hpp"

namespace restream {

namespace {

// A poll's first request and its redirects.
constexpr std::uint64_t calls_of_a_request = 4;
constexpr std::uint64_t least_advance = 8;
constexpr std::uint64_t most_advance = 1000;
constexpr Millis retry_write{1000};
constexpr Seconds share_holds{1};
constexpr double cost_memory = 0.3;  // of the newest poll in the average

}  // namespace

Budget::Budget(std::string credential, QuotaBook::Surroundings surroundings, const QuotaRecord* kept)
    : credential_(std::move(credential)), around_(std::move(surroundings)) {
  if (kept != nullptr) quota_.restore(*kept, around_.clock.steady(), around_.clock.wall());
}

void Budget::set_terms(Owner owner, std::optional<QuotaLimit> limit, bool whole_credential) {
  owners_[owner] = {.limit = limit, .whole_credential = whole_credential};
  // Members may disagree; each holds, and of one window the lower.
  std::map<Millis, std::uint64_t> strictest;
  for (const auto& [_, one] : owners_)
    if (one.limit) {
      const auto [at, fresh] = strictest.try_emplace(one.limit->per, one.limit->calls);
      if (!fresh) at->second = std::min(at->second, one.limit->calls);
    }
  std::vector<QuotaLimit> limits;
  std::uint64_t least = 0;
  for (const auto& [per, calls] : strictest) {
    limits.push_back({.calls = calls, .per = per});
    least = least == 0 ? calls : std::min(least, calls);
  }
  {
    const std::scoped_lock lock(mutex_);
    if (limits != quota_.limits()) quota_.set_limits(std::move(limits));
    advance_ = least == 0 ? 0 : std::clamp(least / 100, least_advance, most_advance);
    covered_ = std::min(covered_, advance_);  // there may have been more in advance of a higher limit
  }
  share_time_.reset();
  pump();
}

std::vector<Budget::Moving> Budget::remove(Owner owner) {
  std::vector<Moving> moving;
  for (auto& [name, channel] : channels_)
    if (name.first == owner)
      moving.push_back({.name = name,
                        .weight = channel.weight,
                        .cost = channel.cost,
                        .interval = channel.interval,
                        .first = channel.first,
                        .turn = std::exchange(channel.turn, std::nullopt)});
  std::erase_if(queue_, [owner](const Place& place) { return place.second.first == owner; });
  std::erase_if(channels_, [this, owner](const auto& one) {
    const bool gone = one.first.first == owner;
    if (gone) weights_ -= one.second.weight;
    return gone;
  });
  owners_.erase(owner);
  share_time_.reset();
  return moving;
}

void Budget::take_over(Moving one) {
  Channel& channel = find_or_make(one.name);
  weights_ += one.weight - channel.weight;
  channel.weight = one.weight;
  channel.cost = one.cost;
  channel.interval = one.interval;
  if (one.turn) ask(one.name, one.interval, one.first, std::move(*one.turn));
}

Budget::Channel& Budget::find_or_make(const Name& name) {
  const auto [at, fresh] = channels_.try_emplace(name);
  if (fresh) weights_ += at->second.weight;
  return at->second;
}

void Budget::ask(const Name& name, Millis interval, bool first, QuotaTurn turn) {
  Channel& channel = find_or_make(name);
  if (channel.turn) return;
  channel.interval = std::max(interval, Millis(1));
  channel.turn = std::move(turn);
  channel.first = first;
  channel.told = false;
  channel.begin = std::max(virtual_time_, channel.finish);
  channel.finish = channel.begin + channel.cost / channel.weight;
  queue_.insert(place_of(channel, name));
  pump();
}

void Budget::hasten(const Name& name) {
  const auto found = channels_.find(name);
  if (found == channels_.end() || !found->second.turn || found->second.first) return;
  queue_.erase(place_of(found->second, name));
  found->second.first = true;
  queue_.insert(place_of(found->second, name));
  pump();
}

void Budget::remind(const Name& name) {
  const auto found = channels_.find(name);
  if (found == channels_.end() || !found->second.turn) return;
  found->second.told = false;
  pump();
}

void Budget::leave(const Name& name) {
  const auto found = channels_.find(name);
  if (found == channels_.end()) return;
  queue_.erase(place_of(found->second, name));
  weights_ -= found->second.weight;
  channels_.erase(found);
}

void Budget::set_subscribers(const Name& name, std::size_t count) {
  Channel& channel = find_or_make(name);
  weights_ -= channel.weight;
  channel.weight = quota_weight(count);
  weights_ += channel.weight;
}

unsigned Budget::cost_of(const Channel& channel) {
  std::uint64_t most = 16;  // reserved for one poll
  for (const QuotaLimit& limit : quota_.limits()) most = std::min(most, std::max<std::uint64_t>(1, limit.calls / 2));
  return static_cast<unsigned>(
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::lround(channel.cost)), 1, most));
}

// Of those who have waited long enough for their share (their begin has come), the one who is through with it first;
// when there is none, the one who begins first: what is left is not left unused.
Budget::Place Budget::next() {
  auto earliest = queue_.begin();
  double begin = std::numeric_limits<double>::infinity();
  for (auto at = queue_.begin(); at != queue_.end(); ++at) {
    const Channel& channel = channels_.at(at->second);
    if (channel.first || channel.begin <= virtual_time_) return *at;
    if (channel.begin >= begin) continue;
    earliest = at;
    begin = channel.begin;
  }
  virtual_time_ = begin;
  return *earliest;
}

// Releases all whose turn it is.
void Budget::pump() {
  if (pumping_) return;
  pumping_ = true;
  bool uncovered = false;
  std::uint64_t needed = 0;
  while (!queue_.empty()) {
    const Place place = next();
    Channel& channel = channels_.at(place.second);
    const SteadyTime now = around_.clock.steady();
    unsigned calls = 0;
    std::optional<SteadyTime> later;
    bool tell = false;
    {
      const std::scoped_lock lock(mutex_);
      if (closed_) break;
      uncovered = false;
      calls = cost_of(channel);
      const SteadyTime at = channel.first ? quota_.free_at(calls, now) : quota_.paced_at(calls, now);
      if (at > now) {
        later = at;
        // What has no data at all is told at once; the others when it takes longer than their usual turn.
        const auto turn = std::chrono::duration<double, std::milli>(2.0 * calls / quota_.rate(now) + 1000);
        tell = channel.first ? quota_.left(now).value_or(1) == 0 : at - now > turn;
      } else if (covered(calls)) {
        quota_.take(calls, now);
        covered_ -= std::min<std::uint64_t>(covered_, calls);
        if (!channel.first) quota_.paced(calls, now);
      } else {
        uncovered = true;
        needed = calls + calls_of_a_request - 1;
        break;  // goes on when write() has written
      }
    }
    if (later) {
      if (tell) tell_waiting(*later);
      wake_at(*later);
      break;
    }
    queue_.erase(place);
    virtual_time_ += calls / weights_;
    const QuotaTurn turn = std::move(*channel.turn);
    channel.turn.reset();
    const bool stops_all = owners_.at(place.second.first).whole_credential;
    turn.go(std::make_shared<PollAllowance>(shared_from_this(), place.second, calls, !channel.first, stops_all));
  }
  pumping_ = false;
  if (!uncovered && !queue_.empty()) {
    const std::scoped_lock lock(mutex_);
    uncovered =
        !closed_ && advance_ > 0 && covered_ < advance_ / 2;  // soon; better now than when somebody waits for it
  }
  if (uncovered) write(needed);
}

bool Budget::is_closed() {
  const std::scoped_lock lock(mutex_);
  return closed_;
}

// Locked. Whether the store knows of so many calls, and some more for redirects.
bool Budget::covered(unsigned calls) { return advance_ == 0 || covered_ >= calls + calls_of_a_request - 1; }

// So that the store knows of so many calls in advance, or of the usual number. Never of more: a kill takes them for
// spent.
void Budget::write(std::uint64_t needed) {
  if (writing_ || is_closed()) return;
  writing_ = true;
  QuotaRecord record;
  std::uint64_t grant = 0;
  {
    const std::scoped_lock lock(mutex_);
    record = quota_.record(around_.clock.steady(), around_.clock.wall());
    if (advance_ > 0) grant = std::max(advance_, needed) - std::min(std::max(advance_, needed), covered_);
    // What goes out until this is on disk is covered by the record before; what is granted now comes on top.
    record.ahead += covered_ + grant;
  }
  record.budget = credential_;
  around_.write(std::move(record), [weak = weak_from_this(), grant](bool written) {
    const auto self = weak.lock();
    if (!self) return;
    self->writing_ = false;
    {
      const std::scoped_lock lock(self->mutex_);
      self->topping_up_ = false;
      if (written) self->covered_ += grant;
    }
    if (!written) return self->wake_at(self->around_.clock.steady() + retry_write);
    self->pump();
  });
}

void Budget::wake_at(SteadyTime time) {
  if (wake_ && *wake_ <= time) return;
  if (!alarm_)
    alarm_ = around_.loop.alarm([weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->wake_.reset();
        self->pump();
      }
    });
  wake_ = time;
  alarm_(time);
}

void Budget::tell_waiting(SteadyTime until) {
  const SteadyTime now = around_.clock.steady();
  const WallTime wall = around_.clock.wall() + std::chrono::duration_cast<WallTime::duration>(until - now);
  std::vector<std::function<void(WallTime)>> told;
  for (const auto& [_, name] : queue_) {
    Channel& channel = channels_.at(name);
    if (!std::exchange(channel.told, true)) told.push_back(channel.turn->wait);
  }
  for (const auto& tell : told) tell(wall);
}

Millis Budget::stretched(const Name& name, Millis interval) {
  const auto found = channels_.find(name);
  if (found == channels_.end()) return interval;
  Channel& channel = found->second;
  channel.interval = std::max(interval, Millis(1));
  const SteadyTime now = around_.clock.steady();
  if (!share_time_ || now - *share_time_ >= share_holds) {
    double rate = 0;
    {
      const std::scoped_lock lock(mutex_);
      rate = quota_.rate(now);
    }
    std::vector<QuotaDemand> demands;
    if (std::isfinite(rate))
      for (const auto& [_, one] : channels_)
        demands.push_back({one.cost / static_cast<double>(one.interval.count()), one.weight});
    share_ = fair_share(demands, rate);
    share_time_ = now;
  }
  if (!std::isfinite(share_)) return interval;
  const double longer = channel.cost / (share_ * channel.weight);
  return std::max(interval, Millis(static_cast<Millis::rep>(std::min(longer, 86'400'000.0 * 30))));
}

QuotaView Budget::view() {
  const SteadyTime now = around_.clock.steady();
  const std::scoped_lock lock(mutex_);
  QuotaView view{.limit = {},
                 .api_limit = quota_.api_limit(),
                 .left = quota_.left(now),
                 .left_of = quota_.left_of(now),
                 .renews = {},
                 .free = {}};
  const auto wall_of = [&](SteadyTime time) {
    return around_.clock.wall() + std::chrono::duration_cast<WallTime::duration>(time - now);
  };
  if (const auto renews = quota_.renews(now)) view.renews = wall_of(*renews);
  if (view.left == 0) view.free = wall_of(quota_.free_at(1, now));
  return view;
}

void Budget::close() {
  QuotaRecord record;
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return;
    closed_ = true;
    record = quota_.record(around_.clock.steady(), around_.clock.wall());
  }
  record.budget = credential_;
  around_.write(std::move(record), [](bool) {});
}

bool Budget::take(unsigned& reserved) {
  const std::scoped_lock lock(mutex_);
  if (closed_) return false;
  const SteadyTime now = around_.clock.steady();
  // Of what was set aside goes back what the API has no room for, as it has said since.
  for (; reserved > 0 && !quota_.still_allows(now); --reserved) {
    quota_.give_back(1);
    if (advance_ > 0) ++covered_;
  }
  if (reserved > 0) {
    --reserved;
    return true;
  }
  if (advance_ > 0 && covered_ == 0) return false;
  if (!quota_.take(1, now)) return false;
  if (covered_ > 0) --covered_;
  // A poll of many pages: core has some more written while the next ones are fetched.
  if (covered_ < advance_ / 2 && !std::exchange(topping_up_, true))
    around_.loop.post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->write();
    });
  return true;
}

void Budget::end(unsigned requests) {
  const std::scoped_lock lock(mutex_);
  quota_.end(requests, around_.clock.steady());
}

void Budget::answered(const ApiQuota& said, std::optional<Millis> block) {
  const SteadyTime now = around_.clock.steady();
  {
    const std::scoped_lock lock(mutex_);
    quota_.answered(said, now);
    if (block) quota_.block(now + *block);
  }
  if (block || said.left == 0) write();  // after a restart it would be asked again in vain
}

void Budget::finished(const Name& name, unsigned reserved, unsigned sent, int more) {
  {
    const std::scoped_lock lock(mutex_);
    quota_.give_back(reserved);
    if (advance_ > 0) covered_ += reserved;
    if (more != 0) quota_.repace(more, around_.clock.steady());
  }
  if (const auto found = channels_.find(name); found != channels_.end() && sent > 0)
    found->second.cost += cost_memory * (sent - found->second.cost);
  if (const auto found = channels_.find(name); found != channels_.end() && more != 0 && !found->second.turn)
    found->second.finish += more / found->second.weight;
  pump();
}

}  // namespace restream
