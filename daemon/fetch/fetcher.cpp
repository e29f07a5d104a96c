#include "fetch/fetcher.hpp"

#include <restream/fetcher.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "fetch/quota_terms.hpp"
#include "fetch/timetable.hpp"
#include "fetch/verdicts.hpp"

namespace restream {

namespace {

constexpr Seconds linger{60};  // polls go on for this long after the last subscriber left
constexpr Millis metadata_timeout{2000};

struct ChannelPoll {
  ChannelId id;
  Params params;  // handed to the plugin: the id's, and defaults that a later version added
  Schedule schedule;
  Status status;
  bool wanted = true;
  SteadyTime linger_until;
  bool in_flight = false;                 // called, or its result is being committed
  bool waiting = false;                   // due, but the plugin is down or a key is missing
  bool queued = false;                    // due, and its turn has not come
  bool refused = false;                   // the plugin does not take its params any more
  std::shared_ptr<const Metadata> asked;  // of the version that the poll under way was asked of
  std::shared_ptr<Allowance> allowance;
  SteadyTime called;  // when the poll under way began
  Hints hints;        // of the poll under way
};

}  // namespace

struct Fetcher::Impl : std::enable_shared_from_this<Fetcher::Impl> {
  Impl(FetcherSettings given, Clock c, CoreLoop l, Random r, Log lg, FetcherHooks h)
      : settings(std::move(given)),
        clock(std::move(c)),
        loop(std::move(l)),
        random(std::move(r)),
        log(std::move(lg)),
        hooks(std::move(h)),
        quota(hooks.join_quota ? hooks.join_quota() : nullptr) {}

  // --- the plugin and its metadata -------------------------------------------------------------------------------

  void plugin_changed(PluginState state, const std::string& problem) {
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

  void ask(const std::function<void(PluginCall)>& call,
           std::function<void(std::expected<Introduction, NoIntroduction>)> done) {
    newcomer = false;
    const auto under = std::make_shared<const FetcherSettings>(next_settings ? *next_settings : settings);
    const nlohmann::json request = {{"call", "metadata"}, {"config", nlohmann::json::parse(under->config)}};
    call({.function = HostFunction::metadata,
          .request = request.dump(),
          .timeout = metadata_timeout,
          .rules = nullptr,
          .done = [weak = weak_from_this(), under, done = std::move(done)](PluginReply reply) {
            const auto self = weak.lock();
            if (!self) return;
            auto introduction = read_introduction(reply, *under);
            if (!introduction && introduction.error().lost) self->newcomer = true;
            done(std::move(introduction));
          }});
  }

  void reconfigure(FetcherSettings given) {
    dismissed = false;
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

  void adopt(Introduction introduction) {
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
    log.info("fetcher ready", {{"fetcher", settings.name},
                               {"plugin", settings.plugin},
                               {"interval", std::to_string(interval.count()) + "ms"}});
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
  void respace(ChannelPoll& poll) {
    if (poll.in_flight || poll.queued || poll.waiting || poll.refused || poll.status.state != State::live) return;
    if (!poll.schedule.last_poll || poll.called == SteadyTime{}) return;
    poll.schedule.not_before = *poll.schedule.last_poll + delay_after_success(interval, poll.hints, random());
    tell(poll, State::live, Reason::none, poll.status.message, next_poll(poll, poll.schedule));
    plan(poll, delay_of_first(interval, poll.schedule, clock.wall()));
  }

  // A channel that another version of the plugin began.
  void fit(ChannelPoll& poll, bool had_ended) {
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
    if (std::exchange(poll.refused, false) || had_ended) begin(poll);
  }

  void refuse(const std::string& reason) {
    if (next_settings) {
      next_settings.reset();
      log.error(
          "the plugin refuses what the configuration says of this fetcher now; it goes on with what it said before",
          {{"fetcher", settings.name}, {"plugin", settings.plugin}, {"reason", reason}});
      return;
    }
    log.error("fetcher refused", {{"fetcher", settings.name}, {"plugin", settings.plugin}, {"reason", reason}});
    end_all(Reason::refused, reason);
    refused_alone = true;
  }

  void end_all(Reason reason, const std::string& problem) {
    ended = reason;
    end_problem = problem;
    refused_alone = false;
    for (auto& [name, poll] : polls) {
      table.clear(name);
      tell(poll, state_when_ended(), reason, problem, std::nullopt);
    }
    settle();
  }

  State state_when_ended() const { return ended == Reason::plugin_crashed ? State::failing : State::unavailable; }

  void settle() {
    is_settled = true;
    hooks.settled();
  }

  // --- channels -----------------------------------------------------------------------------------------------------

  std::expected<ChannelId, Refusal> resolve(Params given) const {
    if (!settings.enabled)
      return std::unexpected(
          Refusal{"unavailable", "fetcher '" + settings.name + "' is disabled in the configuration"});
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

  void want(const ChannelId& id, const Schedule& known) {
    if (const auto found = polls.find(id.text); found != polls.end()) {
      found->second.wanted = true;
      found->second.schedule.last_demand = clock.wall();
      return;
    }
    ChannelPoll& poll = polls.try_emplace(id.text).first->second;
    poll.id = id;
    poll.params = id.params;
    poll.schedule = known;
    poll.schedule.last_demand = clock.wall();
    poll.status.at = clock.wall();
    if (ended != Reason::none) {
      tell(poll, state_when_ended(), ended, end_problem, std::nullopt);
      return;
    }
    begin(poll);
  }

  // Polls begin, for the first time or again.
  void begin(ChannelPoll& poll) {
    if (poll.in_flight) return;  // its end plans the next one
    poll.waiting = false;
    const Schedule& known = poll.schedule;
    const Millis delay = delay_of_first(interval, known, clock.wall());
    const WallTime next = clock.wall() + delay;
    if (known.last_poll && known.failures == 0) {
      tell(poll, State::live, Reason::none, "the last poll succeeded", next);
    } else {
      tell(poll, State::pending, Reason::none,
           known.last_poll ? "the last poll failed; the next one is due" : "not polled yet", next);
    }
    plan(poll, delay);
  }

  void unwant(const std::string& name) {
    const auto found = polls.find(name);
    if (found == polls.end()) return;
    found->second.wanted = false;
    found->second.schedule.last_demand = clock.wall();
    found->second.linger_until = clock.steady() + linger;
    loop.at(found->second.linger_until, [weak = weak_from_this(), name] {
      if (const auto self = weak.lock()) self->drop_if_unwanted(name);
    });
  }

  // --- quota --------------------------------------------------------------------------------------------------------

  void set_quota_terms() {
    if (!quota || !metadata) return;
    quota->set_terms(quota_terms(*metadata, settings.quota, keys, *rules, hooks.name_credential));
  }

  // Comes back by poll_now() with the allowance.
  void ask_quota(ChannelPoll& poll) {
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
      if (!self) return;
      if (const auto found = self->polls.find(name); found != self->polls.end())
        self->tell(found->second, State::limited, Reason::quota,
                   "the quota is used up; the next poll comes when there are calls again", until);
    };
    quota->ask(poll.id.text, interval, !poll.schedule.last_poll, std::move(turn));
  }

  // What a poll that did not begin, or that is over, has not used.
  void give_back(ChannelPoll& poll) {
    if (!poll.in_flight && poll.allowance) std::exchange(poll.allowance, nullptr)->finish();
  }

  WallTime next_poll(const ChannelPoll& poll, const Schedule& schedule) const {
    const Millis delay = std::chrono::ceil<Millis>(*schedule.not_before - *schedule.last_poll);
    return quota ? *schedule.last_poll + quota->stretched(poll.id.text, delay) : *schedule.not_before;
  }

  // True when nobody wants the channel, its linger is over and nothing is under way: it is gone then.
  bool drop_if_unwanted(const std::string& name) {
    const auto found = polls.find(name);
    if (found == polls.end()) return true;
    const ChannelPoll& poll = found->second;
    if (poll.wanted || poll.in_flight || clock.steady() < poll.linger_until) return false;
    table.clear(name);
    if (quota) quota->leave(name);
    const ChannelId id = poll.id;
    hooks.keep(id, poll.schedule);
    polls.erase(found);
    hooks.idle(id);
    return true;
  }

  void plan(ChannelPoll& poll, Millis delay) {
    const SteadyTime due = clock.steady() + delay;
    table.set(poll.id.text, due);
    if (wake && *wake <= due) return;
    wake = due;
    loop.at(due, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->on_wake();
    });
  }

  void on_wake() {
    wake.reset();
    const SteadyTime now = clock.steady();
    while (auto name = table.take_due(now))
      if (!drop_if_unwanted(*name)) poll_now(polls.at(*name));
    const auto next = table.earliest();
    if (!next) return;
    wake = next;
    loop.at(*next, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->on_wake();
    });
  }

  void resume_waiting() {
    std::vector<std::string> names;
    for (auto& [name, poll] : polls)
      if (poll.waiting) names.push_back(name);
    for (const std::string& name : names)
      if (const auto found = polls.find(name); found != polls.end()) poll_now(found->second);
  }

  std::string missing_keys() const {
    std::string missing;
    for (const std::string& key : metadata->keys)
      if (!keys.contains(key)) missing += (missing.empty() ? "" : ", ") + key;
    return missing;
  }

  void poll_now(ChannelPoll& poll) {
    if (poll.in_flight || poll.refused || ended != Reason::none) return;
    poll.waiting = true;
    if (plugin_state != PluginState::ready) {
      if (plugin_state == PluginState::restarting)
        tell(poll, State::failing, Reason::plugin_crashed, "the plugin is down: " + plugin_problem, std::nullopt);
      return;
    }
    if (const std::string missing = missing_keys(); !missing.empty()) {
      tell(poll, State::needs_key, Reason::missing_key,
           "missing in the keystore: " + missing + "; set it with `restream-keys set " + settings.name + " " +
               missing.substr(0, missing.find(',')) + "`",
           std::nullopt);
      return;
    }
    poll.waiting = false;
    if (quota && !poll.allowance) return ask_quota(poll);
    poll.in_flight = true;
    poll.called = clock.steady();
    poll.asked = metadata;
    poll.hints = {};
    nlohmann::json declared = nlohmann::json::object();
    for (const std::string& key : metadata->keys) declared[key] = keys.at(key);
    nlohmann::json params = nlohmann::json::object();
    for (const auto& [name, value] : poll.params) params[name] = value;
    const nlohmann::json request = {{"call", "fetch"},
                                    {"channel", settings.name},
                                    {"params", std::move(params)},
                                    {"keys", std::move(declared)},
                                    {"config", nlohmann::json::parse(settings.config)}};
    hooks.call({.function = HostFunction::fetch,
                .request = request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
                .timeout = settings.call_timeout,
                .rules = rules,
                .allowance = poll.allowance,
                .limited_status = metadata->limited_status,
                .trust = poll.schedule.failures > 0 ? CallTrust::failed
                         : poll.schedule.last_poll  ? CallTrust::proven
                                                    : CallTrust::fresh,
                .done = [weak = weak_from_this(), name = poll.id.text](PluginReply reply) {
                  if (const auto self = weak.lock()) self->on_reply(name, std::move(reply));
                }});
  }

  void on_reply(const std::string& name, PluginReply reply) {
    ChannelPoll& poll = polls.at(name);  // a channel with a poll in flight is never dropped
    poll.hints = reply.hints;
    counts.seconds.add(clock.steady() - poll.called);
    if (poll.allowance) std::exchange(poll.allowance, nullptr)->finish();
    if (reply.kind == PluginReply::Kind::retry) {
      poll.in_flight = false;
      poll.waiting = true;
      if (plugin_state == PluginState::ready) poll_now(poll);
    } else if (reply.kind == PluginReply::Kind::returned && reply.code == RESTREAM_OK) {
      Schedule after = poll.schedule;
      after.last_poll = clock.wall();
      after.not_before = *after.last_poll + delay_after_success(interval, poll.hints, random());
      after.failures = 0;
      if (poll.wanted) after.last_demand = *after.last_poll;
      hooks.polled({.channel = poll.id,
                    .metadata = poll.asked,
                    .result = std::move(reply.output),
                    .schedule = std::move(after)});
    } else {
      fail(poll, failure_of_reply(reply));
    }
  }

  void finished(const std::string& name, const Schedule& schedule, const PollVerdict& verdict) {
    const auto found = polls.find(name);
    if (found == polls.end()) return;
    ChannelPoll& poll = found->second;
    switch (verdict.kind) {
      case PollVerdict::Kind::committed: {
        poll.in_flight = false;
        ++counts.polls[Reason::none];
        poll.schedule = schedule;
        if (stays_ended(poll)) return;
        tell(poll, State::live, Reason::none, "the last poll succeeded", next_poll(poll, schedule));
        const auto delay = std::chrono::ceil<Millis>(*schedule.not_before - *schedule.last_poll);
        if (!drop_if_unwanted(name)) plan(poll, delay);
        return;
      }
      case PollVerdict::Kind::store_failed:
        // Not the API's fault: what was fetched is dropped, the state before it stays, and the next poll is an interval
        // off.
        poll.in_flight = false;
        log.error("a poll could not be written and was dropped", {{"channel", name}, {"reason", verdict.problem}});
        if (stays_ended(poll)) return;
        if (!drop_if_unwanted(name)) plan(poll, interval);
        return;
      case PollVerdict::Kind::bad_result:
        return fail(poll, {State::failing, Reason::bad_result, verdict.problem});
      case PollVerdict::Kind::api_error:
        return fail(poll, failure_of_status(verdict.status, verdict.problem, poll.hints, metadata->limited_status));
    }
  }

  // A poll that was under way when its channel ended changes nothing about that.
  bool stays_ended(const ChannelPoll& poll) {
    if (ended == Reason::none && !poll.refused) return false;
    drop_if_unwanted(poll.id.text);
    return true;
  }

  void fail(ChannelPoll& poll, Failure failure) {
    poll.in_flight = false;
    ++counts.polls[failure.reason];
    if (failure.reason == Reason::bad_result) result_problem = log.redact(poll.id.text + ": " + failure.message);
    const WallTime now = clock.wall();
    ++poll.schedule.failures;
    const Millis delay = delay_after_failure(interval, poll.schedule.failures, poll.hints, random());
    poll.schedule.last_poll = now;
    poll.schedule.not_before = now + delay;
    hooks.keep(poll.id, poll.schedule);
    if (stays_ended(poll)) return;
    tell(poll, failure.state, failure.reason, failure.message, poll.schedule.not_before);
    if (!drop_if_unwanted(poll.id.text)) plan(poll, delay);
  }

  void tell(ChannelPoll& poll, State state, Reason reason, const std::string& message, std::optional<WallTime> next) {
    const bool transition = poll.status.state != state || poll.status.reason != reason;
    if (transition) poll.status.at = clock.wall();
    poll.status.state = state;
    poll.status.reason = reason;
    poll.status.message = log.redact(message);
    poll.status.next_poll = next;
    if (transition && state != State::pending)
      log.write(state == State::live ? LogLevel::info : LogLevel::warning, "channel " + std::string(text(state)),
                {{"channel", poll.id.text}, {"reason", std::string(text(reason))}, {"message", poll.status.message}});
    hooks.status(poll.id, poll.status, transition);
  }

  // --- for people ---------------------------------------------------------------------------------------------------

  std::pair<State, Reason> health() const {
    if (!settings.enabled) return {State::unavailable, Reason::disabled};
    if (ended != Reason::none) return {state_when_ended(), ended};
    if (plugin_state == PluginState::restarting) return {State::failing, Reason::plugin_crashed};
    if (!metadata || plugin_state == PluginState::loading) return {State::pending, Reason::none};
    if (!missing_keys().empty()) return {State::needs_key, Reason::missing_key};
    return {State::live, Reason::none};
  }

  std::string describe(std::uint64_t restarts, const std::string& last_error) const {
    using json = nlohmann::ordered_json;
    json entry = metadata ? json::parse(metadata->json) : json::object();
    entry["name"] = settings.name;
    const auto [state, reason] = health();
    const std::string& own_error = end_problem.empty() ? result_problem : end_problem;
    const std::string& error = last_error.empty() ? own_error : last_error;
    entry["health"] = {{"state", text(state)},
                       {"reason", reason == Reason::none ? json() : json(text(reason))},
                       {"restarts", restarts},
                       {"last_error", error.empty() ? json() : json(error)}};
    json presence = json::object();
    if (metadata) {
      for (const auto& [key, value] : keys) presence[key] = "unused";
      for (const std::string& key : metadata->keys) presence[key] = keys.contains(key) ? "present" : "missing";
    }
    entry["keys"] = std::move(presence);
    entry["quota"] = quota && metadata ? json::parse(quota_json(quota->view())) : json();
    entry["channels"] = polls.size();
    return entry.dump();
  }

  FetcherSettings settings;
  std::optional<FetcherSettings> next_settings;  // once a version has introduced itself under them
  bool newcomer = true;
  bool dismissed = false;
  Clock clock;
  CoreLoop loop;
  Random random;
  Log log;
  FetcherHooks hooks;
  Counts counts;
  std::shared_ptr<QuotaMember> quota;  // null: nothing is counted

  PluginState plugin_state = PluginState::loading;
  std::string plugin_problem = "it is being loaded";
  bool is_settled = false;
  Reason ended = Reason::none;  // refused, held, removed, or crashed since: no polls until a version is adopted
  bool refused_alone = false;   // the version that serves others is no good for this fetcher
  std::string end_problem;
  std::string result_problem;  // of the last result that could not be used, whichever channel's
  std::shared_ptr<const Metadata> metadata;
  std::shared_ptr<const HttpRules> rules;
  Millis interval{0};
  std::map<std::string, std::string> keys;

  std::unordered_map<std::string, ChannelPoll> polls;
  std::map<std::string, std::string> renamed;  // canonical id today -> the id under which the channel lives
  Timetable table;
  std::optional<SteadyTime> wake;  // the earliest time for which the loop was asked
};

Fetcher::Fetcher(FetcherSettings settings, Clock clock, CoreLoop loop, Random random, Log log, FetcherHooks hooks)
    : impl_(std::make_shared<Impl>(std::move(settings), std::move(clock), std::move(loop), std::move(random),
                                   std::move(log), std::move(hooks))) {
  if (!impl_->settings.enabled) impl_->is_settled = true;
}
Fetcher::~Fetcher() = default;
void Fetcher::ask(const std::function<void(PluginCall)>& call,
                  std::function<void(std::expected<Introduction, NoIntroduction>)> done) const {
  impl_->ask(call, std::move(done));
}
void Fetcher::reconfigure(FetcherSettings settings) { impl_->reconfigure(std::move(settings)); }
bool Fetcher::is_newcomer() const { return impl_->newcomer; }
void Fetcher::dismiss() {
  impl_->dismissed = true;
  impl_->next_settings.reset();
  impl_->newcomer = false;
  impl_->end_all(Reason::removed, "the configuration has no fetcher of this name any more");
}
void Fetcher::adopt(Introduction introduction) { impl_->adopt(std::move(introduction)); }
void Fetcher::refuse(const std::string& reason) { impl_->refuse(reason); }
bool Fetcher::works() const { return impl_->metadata && impl_->ended == Reason::none; }
bool Fetcher::enabled() const { return impl_->settings.enabled; }
void Fetcher::plugin_changed(PluginState state, const std::string& problem) { impl_->plugin_changed(state, problem); }
void Fetcher::set_keys(std::map<std::string, std::string> keys) {
  impl_->keys = std::move(keys);
  impl_->set_quota_terms();
  if (impl_->metadata) impl_->resume_waiting();
}
bool Fetcher::settled() const { return impl_->is_settled; }
std::expected<ChannelId, Refusal> Fetcher::resolve(Params given) const { return impl_->resolve(std::move(given)); }
void Fetcher::want(const ChannelId& channel, const Schedule& known) { impl_->want(channel, known); }
void Fetcher::unwant(const std::string& channel) { impl_->unwant(channel); }
std::expected<void, std::string> Fetcher::poll_soon(const std::string& channel) {
  const auto found = impl_->polls.find(channel);
  if (found == impl_->polls.end()) return std::unexpected("nobody follows " + channel + ", so it is not polled");
  if (found->second.in_flight) return {};
  impl_->table.clear(channel);
  impl_->poll_now(found->second);
  return {};
}
void Fetcher::set_subscribers(const std::string& channel, std::size_t count) {
  if (impl_->quota) impl_->quota->set_subscribers(channel, count);
}
void Fetcher::finished(const std::string& channel, const Schedule& schedule, const PollVerdict& verdict) {
  impl_->finished(channel, schedule, verdict);
}
std::string Fetcher::describe(std::uint64_t restarts, const std::string& last_error) const {
  return impl_->describe(restarts, last_error);
}
const Fetcher::Counts& Fetcher::counts() const { return impl_->counts; }
std::optional<std::uint64_t> Fetcher::quota_left() const {
  if (!impl_->quota || !impl_->metadata) return std::nullopt;
  return impl_->quota->view().left;
}
std::string Fetcher::missing_key() const {
  const std::string missing = impl_->metadata ? impl_->missing_keys() : "";
  return missing.substr(0, missing.find(','));
}
std::size_t Fetcher::channels() const { return impl_->polls.size(); }
std::shared_ptr<const Metadata> Fetcher::metadata() const { return impl_->metadata; }

}  // namespace restream
