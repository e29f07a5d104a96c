// A fetcher's channels: which there are, who is wanted, when each is due and whether the quota lets it. Runs on: core.
#include "fetch/fetcher_impl.hpp"
#include "fetch/quota_terms.hpp"

namespace restream {

namespace {

constexpr Seconds linger{60};  // polls go on for this long after the last subscriber left
// Of channels that are pinned and that nobody waits for, so many begin at once; what is more is spread.
constexpr unsigned few = 8;

}  // namespace

std::expected<ChannelId, Refusal> Fetcher::Impl::resolve(Params given) const {
  if (!settings.enabled)
    return std::unexpected(Refusal{"unavailable", "fetcher '" + settings.name + "' is disabled in the configuration"});
  if (ended != Reason::none && !metadata)
    return std::unexpected(Refusal{"unavailable", "fetcher '" + settings.name + "' is unavailable: " + end_problem});
  if (!metadata)
    return std::unexpected(
        Refusal{"unavailable", "fetcher '" + settings.name + "' is not up: " + plugin_problem + "; try again later"});
  auto id = canonical_channel(settings.name, metadata->params, std::move(given));
  if (!id) return std::unexpected(Refusal{"invalid_params", id.error().message});
  if (const auto known = renamed.find(id->text); known != renamed.end())
    if (const auto poll = polls.find(known->second); poll != polls.end()) return poll->second.id;
  return std::move(*id);
}

void Fetcher::Impl::want(const ChannelId& id, const Schedule& known, bool waits) {
  if (const auto found = polls.find(id.text); found != polls.end()) {
    found->second.wanted = true;
    found->second.schedule.last_demand = clock.wall();
    if (waits) serve(id.text);
    return;
  }
  ChannelPoll& poll = polls.try_emplace(id.text).first->second;
  poll.id = id;
  poll.params = id.params;
  poll.schedule = known;
  poll.waits = waits;
  poll.schedule.last_demand = clock.wall();
  poll.status.at = clock.wall();
  set_pace(poll);
  if (ended != Reason::none) {
    tell(poll, state_when_ended(), ended, end_problem, std::nullopt);
    return;
  }
  begin(poll);
}

void Fetcher::Impl::begin(ChannelPoll& poll) {
  if (poll.in_flight) return;  // its end plans the next one
  poll.waiting = false;
  forgive_other_keys(poll);
  const Schedule& known = poll.schedule;
  Millis delay = delay_of_first(adaptive ? adaptive->max : interval, known, clock.wall());
  poll.put_off = !poll.waits && delay == Millis(0);
  if (poll.put_off) delay = put_off();
  const WallTime next = clock.wall() + delay;
  if (known.last_poll && known.failures == 0) {
    tell(poll, State::live, Reason::none, "the last poll succeeded", next);
  } else {
    tell(poll, State::pending, Reason::none,
         known.last_poll ? "the last poll failed; the next one is due" : "not polled yet", next);
  }
  plan(poll, delay);
  if (poll.queued && quota) quota->remind(poll.id.text);
}

void Fetcher::Impl::serve(const std::string& name) {
  const auto found = polls.find(name);
  if (found == polls.end()) return;
  found->second.waits = true;
  if (std::exchange(found->second.put_off, false) && ended == Reason::none && !found->second.refused)
    begin(found->second);
}

// After a long pause everything is due; an API that is asked for all of it in one go has no use for the order on disk.
Millis Fetcher::Impl::put_off() {
  const SteadyTime now = clock.steady();
  if (now - put_off_since >= interval) {
    put_off_since = now;
    begun_at_once = 0;
  }
  if (begun_at_once < few) {
    ++begun_at_once;
    return Millis(0);
  }
  return Millis(static_cast<Millis::rep>(static_cast<double>(interval.count()) * random()));
}

void Fetcher::Impl::unwant(const std::string& name) {
  const auto found = polls.find(name);
  if (found == polls.end()) return;
  found->second.wanted = false;
  found->second.schedule.last_demand = clock.wall();
  found->second.linger_until = clock.steady() + linger;
  leaving.set(name, found->second.linger_until);
  wake_at(found->second.linger_until);
}

void Fetcher::Impl::set_quota_terms() {
  if (!quota || !metadata) return;
  quota->set_terms(quota_terms(*metadata, settings.quota, keys, *rules, hooks.name_credential));
}

void Fetcher::Impl::ask_quota(ChannelPoll& poll) {
  if (std::exchange(poll.queued, true)) return;
  QuotaTurn turn;
  turn.go = [weak = weak_from_this(), name = poll.id.text](std::shared_ptr<Allowance> allowance) {
    const auto self = weak.lock();
    const auto found = self ? self->polls.find(name) : decltype(self->polls.find(name)){};
    if (!self || found == self->polls.end() || found->second.in_flight) return allowance->finish();
    found->second.queued = false;
    found->second.allowance = std::move(allowance);
    self->poll_now(found->second);
    self->give_back(found->second);
  };
  turn.wait = [weak = weak_from_this(), name = poll.id.text](WallTime until) {
    const auto self = weak.lock();
    if (!self || self->ended != Reason::none) return;
    if (const auto found = self->polls.find(name); found != self->polls.end() && !found->second.refused)
      self->tell(found->second, State::limited, Reason::quota,
                 "the quota is used up; the next poll comes when there are calls again", until);
  };
  const bool first = std::exchange(poll.urgent, false) || !poll.schedule.last_poll;
  quota->ask(poll.id.text, interval_of(poll), first, std::move(turn));
}

void Fetcher::Impl::give_back(ChannelPoll& poll) {
  if (!poll.in_flight && poll.allowance) std::exchange(poll.allowance, nullptr)->finish();
}

WallTime Fetcher::Impl::next_poll(const ChannelPoll& poll, const Schedule& schedule) const {
  const Millis delay = std::chrono::ceil<Millis>(*schedule.not_before - *schedule.last_poll);
  return quota ? *schedule.last_poll + quota->stretched(poll.id.text, delay) : *schedule.not_before;
}

bool Fetcher::Impl::drop_if_unwanted(const std::string& name) {
  const auto found = polls.find(name);
  if (found == polls.end()) return true;
  ChannelPoll& poll = found->second;
  if (poll.wanted || clock.steady() < poll.linger_until) return false;
  if (poll.in_flight) {
    // Its end comes back here.
    poll.cancelled = poll.cancelled || (hooks.cancel && hooks.cancel(poll.name));
    return false;
  }
  table.clear(name);
  leaving.clear(name);
  if (quota) quota->leave(name);
  const ChannelId id = poll.id;
  hooks.keep(id, poll.schedule);
  polls.erase(found);
  hooks.idle(id);
  return true;
}

// What a channel's pace was before it was left, or before a restart, shows in when its next poll was due.
void Fetcher::Impl::set_pace(ChannelPoll& poll) {
  poll.pace.reset();
  if (!adaptive) return;
  const Schedule& known = poll.schedule;
  const bool tells = known.last_poll && known.not_before && known.failures == 0;
  const Millis before = tells ? std::chrono::duration_cast<Millis>(*known.not_before - *known.last_poll) : interval;
  poll.pace.emplace(*adaptive, before, clock.steady());
}

Millis Fetcher::Impl::interval_of(const ChannelPoll& poll) const {
  return poll.pace ? poll.pace->interval(clock.steady()) : interval;
}

void Fetcher::Impl::plan(ChannelPoll& poll, Millis delay) {
  const SteadyTime due = clock.steady() + delay;
  table.set(poll.id.text, due);
  wake_at(due);
}

void Fetcher::Impl::wake_at(SteadyTime due) {
  if (wake && *wake <= due) return;
  if (!alarm)
    alarm = loop.alarm([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->on_wake();
    });
  wake = due;
  alarm(due);
}

void Fetcher::Impl::on_wake() {
  wake.reset();
  const SteadyTime now = clock.steady();
  while (auto name = leaving.take_due(now)) drop_if_unwanted(*name);
  while (auto name = table.take_due(now))
    if (!drop_if_unwanted(*name)) poll_now(polls.at(*name));
  if (const auto next = leaving.earliest()) wake_at(*next);
  if (const auto next = table.earliest()) wake_at(*next);
}

void Fetcher::Impl::resume_waiting() {
  std::vector<std::string> names;
  for (auto& [name, poll] : polls)
    if (poll.waiting) names.push_back(name);
  for (const std::string& name : names)
    if (const auto found = polls.find(name); found != polls.end()) poll_now(found->second);
}

std::expected<std::string, std::string> Fetcher::Impl::poll_soon(const std::string& name) {
  const auto found = polls.find(name);
  if (found == polls.end())
    return std::unexpected("nobody follows " + name + ", so it is not polled; subscribe to it, or pin it, first");
  ChannelPoll& poll = found->second;
  const auto no = [&](const std::string& why) { return std::unexpected(name + " is not polled now: " + why); };
  if (ended != Reason::none || poll.refused) return no(poll.status.message);
  if (poll.in_flight) return name + " is being polled already";
  if (const std::string missing = missing_keys(); !missing.empty()) return no(missing_message(missing));
  if (plugin_state != PluginState::ready) return no("its plugin is down: " + plugin_problem);
  if (const auto until = rest_of(poll); until && *until > clock.wall())
    return no("the API has asked for no request before " + rfc3339(*until));
  const QuotaView view = quota ? quota->view() : QuotaView{};
  if (view.left == 0) {
    const auto& next = poll.status.next_poll;
    return no(quota_spent_text(view) + (next ? "; by itself it is polled at " + rfc3339(*next) : ""));
  }
  table.clear(name);
  if (poll.queued) {
    quota->hasten(name);
  } else {
    poll.urgent = true;
    poll_now(poll);
  }
  if (!poll.queued) return "polling " + name + " now";
  return name + " is polled as soon as its quota lets it, with " + std::to_string(view.left.value_or(0)) +
         " calls left";
}

void Fetcher::Impl::forgive_other_keys(ChannelPoll& poll) {
  Schedule& known = poll.schedule;
  if (known.refused_keys == 0 || !known.last_poll || !known.not_before) return;
  if (known.refused_keys == keys_mark(*metadata, keys, hooks.name_credential)) return;
  const WallTime soonest = std::max(*known.last_poll + interval_of(poll), rest_of(poll).value_or(WallTime::min()));
  known.failures = 1;
  known.not_before = std::min(*known.not_before, soonest);
}

std::optional<WallTime> Fetcher::Impl::rest_of(const ChannelPoll& poll) const {
  if (poll.polled) return poll.rest;
  return rest_asked_for(adaptive ? std::max(interval, adaptive->max) : interval, poll.schedule);
}

void Fetcher::Impl::retry_unauthorized() {
  for (auto& [name, poll] : polls) {
    poll.outdated = poll.in_flight;
    if (poll.in_flight || poll.queued || poll.waiting || poll.refused || ended != Reason::none) continue;
    if (poll.schedule.refused_keys == 0) continue;
    const auto rest = rest_of(poll);
    poll.schedule.failures = 1;
    Millis delay = delay_after_failure(interval_of(poll), poll.schedule.failures, poll.hints, random());
    if (rest) delay = std::max(delay, std::chrono::ceil<Millis>(*rest - *poll.schedule.last_poll));
    poll.schedule.not_before = *poll.schedule.last_poll + delay;
    hooks.keep(poll.id, poll.schedule);
    tell(poll, poll.status.state, poll.status.reason, poll.status.message, next_poll(poll, poll.schedule));
    plan(poll, std::min(delay, delay_of_first(delay, poll.schedule, clock.wall())));
  }
}

}  // namespace restream
