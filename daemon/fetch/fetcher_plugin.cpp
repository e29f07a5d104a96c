// A fetcher and the versions of its plugin: metadata that is asked for, adopted or refused, and what becomes of the
// channels then. Runs on: core.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "fetch/fetcher_impl.hpp"

namespace restream {

namespace {

constexpr Millis metadata_timeout{2000};
constexpr Seconds patience_with_restarts{5};

}  // namespace

void Fetcher::Impl::plugin_changed(PluginState state, const std::string& problem) {
  if (state == PluginState::restarting && plugin_state != state) {
    down_since = clock.steady();
    loop.at(down_since + patience_with_restarts, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->tell_waiting();
    });
  }
  plugin_state = state;
  plugin_problem = problem;
  if (!settings.enabled || dismissed) return;
  switch (state) {
    case PluginState::loading:
      return;
    case PluginState::ready:
      return resume_waiting();
    case PluginState::restarting:
      // Another version is there by now, and cannot get on its feet: that is news, but no reason to poll.
      if (ended != Reason::none && !refused_alone) end_all(Reason::plugin_crashed, "the plugin is down: " + problem);
      if (!metadata) settle();
      return;
    case PluginState::refused:
      return end_all(Reason::refused, problem);
    case PluginState::held:
      return end_all(Reason::held, problem);
    case PluginState::removed:
      return end_all(Reason::removed, problem);
  }
}

// Those whose call was lost to another one's, and those that came due since.
void Fetcher::Impl::tell_waiting() {
  for (auto& [name, poll] : polls)
    if (poll.waiting) tell_down(poll);
}

// A restart or two is no news to channels that did not cause them.
void Fetcher::Impl::tell_down(ChannelPoll& poll) {
  if (plugin_state != PluginState::restarting || clock.steady() - down_since < patience_with_restarts) return;
  if (ended != Reason::none || poll.refused) return;
  tell(poll, State::failing, Reason::plugin_crashed, "the plugin is down: " + plugin_problem, std::nullopt);
}

void Fetcher::Impl::ask(const std::function<void(PluginCall)>& call,
                        std::function<void(std::expected<Introduction, NoIntroduction>)> done) {
  newcomer = false;
  const auto under = std::make_shared<const FetcherSettings>(next_settings ? *next_settings : settings);
  const nlohmann::json request = {{"call", "metadata"}, {"config", nlohmann::json::parse(under->config)}};
  call({.function = HostFunction::metadata,
        .request = request.dump(),
        .timeout = metadata_timeout,
        .rules = nullptr,
        .done = [weak = weak_from_this(), under, done = std::move(done)](const PluginReply& reply) {
          const auto self = weak.lock();
          if (!self) return;
          auto introduction = read_introduction(reply, *under);
          if (!introduction && introduction.error().lost) self->newcomer = true;
          done(std::move(introduction));
        }});
}

void Fetcher::Impl::reconfigure(FetcherSettings given) {
  dismissed = false;
  ++settings_number;
  const bool anew = !settings.enabled || !metadata || given.plugin != settings.plugin || ended != Reason::none;
  const bool other_plugin = given.plugin != settings.plugin;
  next_settings.reset();
  newcomer = given.enabled;
  if (!given.enabled) {
    settings = std::move(given);
    end_all(Reason::disabled, "it is disabled in the configuration");
  } else if (anew) {
    settings = std::move(given);
    plugin_state = PluginState::loading;
    plugin_problem = "it is being loaded";
    // No polls by what the plugin before it said of itself.
    if (other_plugin && ended == Reason::none) {
      ended = Reason::removed;
      end_problem = "its plugin is another one now";
    }
  } else {
    next_settings = std::move(given);
  }
}

void Fetcher::Impl::adopt(Introduction introduction) {
  if (next_settings) settings = *std::exchange(next_settings, std::nullopt);
  const Millis interval_before = interval;
  metadata = std::move(introduction.metadata);
  rules = std::move(introduction.rules);
  set_quota_terms();
  interval = std::chrono::duration_cast<Millis>(metadata->poll_interval);
  if (settings.poll_interval && (settings.force_interval || *settings.poll_interval > interval)) {
    interval = *settings.poll_interval;
  } else if (settings.poll_interval && *settings.poll_interval < interval) {
    log.warning("poll_interval is below the fetcher's own, which stays; force_interval: true would set it",
                {{"fetcher", settings.name}, {"interval", std::to_string(interval.count()) + "ms"}});
  }
  set_adaptive();
  log.info(
      "fetcher ready",
      {{"fetcher", settings.name}, {"plugin", settings.plugin}, {"interval", std::to_string(interval.count()) + "ms"}});
  const bool had_ended = std::exchange(ended, Reason::none) != Reason::none;
  refused_alone = false;
  end_problem.clear();
  renamed.clear();
  for (auto& [name, poll] : polls) {
    fit(poll, had_ended);
    if (interval != interval_before) respace(poll);
  }
  settle();
}

// The next poll of a channel that is well, by another interval. What the API asked for at the last one still counts;
// where that is not known, from before a restart, the time stays.
void Fetcher::Impl::respace(ChannelPoll& poll) {
  if (poll.in_flight || poll.queued || poll.waiting || poll.refused || poll.status.state != State::live) return;
  if (!poll.schedule.last_poll || poll.called == SteadyTime{}) return;
  poll.schedule.not_before = *poll.schedule.last_poll + delay_after_success(interval_of(poll), poll.hints, random());
  tell(poll, State::live, Reason::none, poll.status.message, next_poll(poll, poll.schedule));
  plan(poll, delay_of_first(interval_of(poll), poll.schedule, clock.wall()));
}

// The configuration's range, but never below the fetcher's own interval.
void Fetcher::Impl::set_adaptive() {
  adaptive = settings.adaptive;
  if (!adaptive) return;
  const auto own = std::chrono::duration_cast<Millis>(metadata->poll_interval);
  if (!settings.force_interval && adaptive->min < own) {
    log.warning(
        "adaptive.min is below the fetcher's own interval, which is taken instead; force_interval: true would "
        "allow it",
        {{"fetcher", settings.name}, {"interval", std::to_string(own.count()) + "ms"}});
    adaptive->min = own;
    adaptive->max = std::max(adaptive->max, own);
  }
  interval = std::clamp(interval, adaptive->min, adaptive->max);
}

void Fetcher::Impl::fit(ChannelPoll& poll, bool had_ended) {
  auto id = canonical_channel(settings.name, metadata->params, poll.id.params);
  if (!id) {
    poll.refused = true;
    table.clear(poll.id.text);
    tell(poll, State::unavailable, Reason::refused,
         "this version of the plugin does not take its params: " + id.error().message, std::nullopt);
    return;
  }
  // A new param with a default makes another id of the same params; the channel keeps the one that its log has.
  if (id->text != poll.id.text && !polls.contains(id->text)) renamed.emplace(id->text, poll.id.text);
  poll.params = std::move(id->params);
  set_pace(poll);
  if (std::exchange(poll.refused, false) || had_ended) begin(poll);
}

void Fetcher::Impl::refuse(const std::string& reason) {
  if (next_settings) {
    next_settings.reset();
    log.error("the plugin refuses what the configuration says of this fetcher now; it goes on with what it said before",
              {{"fetcher", settings.name}, {"plugin", settings.plugin}, {"reason", reason}});
    return;
  }
  log.error("fetcher refused", {{"fetcher", settings.name}, {"plugin", settings.plugin}, {"reason", reason}});
  end_all(Reason::refused, reason);
  refused_alone = true;
}

void Fetcher::Impl::end_all(Reason reason, const std::string& problem) {
  ended = reason;
  end_problem = problem;
  refused_alone = false;
  for (auto& [name, poll] : polls) {
    table.clear(name);
    tell(poll, state_when_ended(), reason, problem, std::nullopt);
  }
  settle();
}

State Fetcher::Impl::state_when_ended() const {
  return ended == Reason::plugin_crashed ? State::failing : State::unavailable;
}

void Fetcher::Impl::settle() {
  is_settled = true;
  hooks.settled();
}

}  // namespace restream
