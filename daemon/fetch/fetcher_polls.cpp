// One poll of a channel: from the call into the plugin to what the commit said of it. Runs on: core.
#include <restream/fetcher.h>

#include <nlohmann/json.hpp>

#include "fetch/fetcher_impl.hpp"
#include "fetch/quota_terms.hpp"

namespace restream {

namespace {

void log_reply(const Log& log, const ChannelPoll& poll, const PluginReply& reply, SteadyTime now) {
  const auto took = std::chrono::duration_cast<Millis>(now - poll.called);
  log.debug("plugin answered", {{"poll", poll.name},
                                {"channel", poll.id.text},
                                {"code", std::to_string(reply.code)},
                                {"problem", reply.problem.empty() ? "none" : reply.problem},
                                {"bytes", std::to_string(reply.output.size())},
                                {"ms", std::to_string(took.count())}});
}

constexpr std::size_t longest_escape = 6;  // \u001f

// Of UTF-8, which the keystore and the metadata make sure of.
void append_quoted(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      const auto byte = static_cast<unsigned char>(c);
      ((out += "\\u00") += digits[byte >> 4U]) += digits[byte & 0xFU];
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

}  // namespace

std::string Fetcher::Impl::missing_keys() const {
  std::string missing;
  for (const std::string& key : metadata->keys)
    if (!keys.contains(key)) missing += (missing.empty() ? "" : ", ") + key;
  return missing;
}

std::string Fetcher::Impl::missing_message(const std::string& missing) const {
  return "missing in the keystore: " + missing + "; set it with `" +
         hooks.set_key(settings.name, missing.substr(0, missing.find(','))) + "`";
}

// The keys come last and are written by hand: whoever makes JSON of them leaves copies in memory that nobody wipes.
SecretText Fetcher::Impl::request_of(const ChannelPoll& poll) const {
  nlohmann::json params = nlohmann::json::object();
  for (const auto& [name, value] : poll.params) params[name] = value;
  const nlohmann::json rest = {{"call", "fetch"},
                               {"channel", settings.name},
                               {"params", std::move(params)},
                               {"config", nlohmann::json::parse(settings.config)}};
  std::string text = rest.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::size_t size = text.size() + 16;
  for (const std::string& key : metadata->keys) size += 8 + longest_escape * (key.size() + keys.at(key).text().size());
  text.reserve(size);
  text.back() = ',';
  text += R"("keys":{)";
  for (const std::string& key : metadata->keys) {
    if (text.back() != '{') text += ',';
    append_quoted(text, key);
    text += ':';
    append_quoted(text, keys.at(key).text());
  }
  text += "}}";
  return text;
}

void Fetcher::Impl::poll_now(ChannelPoll& poll) {
  if (poll.in_flight || poll.refused || ended != Reason::none) return;
  poll.put_off = false;
  poll.waiting = true;
  if (plugin_state != PluginState::ready) return tell_down(poll);
  if (const std::string missing = missing_keys(); !missing.empty()) {
    tell(poll, State::needs_key, Reason::missing_key, missing_message(missing), std::nullopt);
    return;
  }
  poll.waiting = false;
  if (quota && !poll.allowance) return ask_quota(poll);
  poll.in_flight = true;
  poll.outdated = false;
  poll.name = hooks.name_poll ? hooks.name_poll() : "";
  poll.called = clock.steady();
  if (log.writes(LogLevel::debug)) log.debug("poll", {{"poll", poll.name}, {"channel", poll.id.text}});
  poll.asked = metadata;
  poll.hints = {};
  poll.polled = true;
  hooks.call({.poll = poll.name,
              .function = HostFunction::fetch,
              .request = request_of(poll),
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

void Fetcher::Impl::on_reply(const std::string& name, PluginReply reply) {
  ChannelPoll& poll = polls.at(name);  // a channel with a poll in flight is never dropped
  poll.hints = reply.hints;
  poll.rest.reset();
  if (reply.hints.retry_after) poll.rest = clock.wall() + *reply.hints.retry_after;
  counts.seconds.add(clock.steady() - poll.called);
  if (poll.allowance) std::exchange(poll.allowance, nullptr)->finish();
  if (log.writes(LogLevel::debug)) log_reply(log, poll, reply, clock.steady());
  if (std::exchange(poll.cancelled, false)) {
    poll.in_flight = false;
    poll.name.clear();
    const Millis delay = keep_rest(poll, Millis(0));
    if (!drop_if_unwanted(name) && ended == Reason::none) plan_again(poll, delay);  // somebody came after all
    return;
  }
  if (reply.kind == PluginReply::Kind::retry) {
    poll.in_flight = false;
    const Millis delay = keep_rest(poll, Millis(0));
    if (drop_if_unwanted(name)) return;
    if (delay > Millis(0)) return plan_again(poll, delay);
    poll.waiting = true;
    if (plugin_state == PluginState::ready) poll_now(poll);
  } else if (reply.kind == PluginReply::Kind::returned && reply.code == RESTREAM_OK) {
    Schedule after = poll.schedule;
    after.last_poll = clock.wall();
    after.not_before = *after.last_poll + delay_after_success(interval_of(poll), poll.hints, random());
    after.failures = 0;
    after.refused_keys = 0;
    if (poll.wanted) after.last_demand = *after.last_poll;
    hooks.polled({.poll = poll.name,
                  .channel = poll.id,
                  .metadata = poll.asked,
                  .result = std::move(reply.output),
                  .schedule = after});
  } else {
    // Here already: a message is cut, and nobody knows half a key again.
    reply.problem = log.redact(reply.problem);
    reply.last_line = log.redact(reply.last_line);
    fail(poll, failure_of_reply(reply));
  }
}

void Fetcher::Impl::finished(const std::string& name, const Schedule& schedule, const PollVerdict& verdict) {
  const auto found = polls.find(name);
  if (found == polls.end()) return;
  ChannelPoll& poll = found->second;
  switch (verdict.kind) {
    case PollVerdict::Kind::committed: {
      poll.in_flight = false;
      ++counts.polls[Reason::none];
      poll.schedule = schedule;
      count_odd_items(poll, verdict);
      if (poll.pace && verdict.changed) quicken(poll);
      if (stays_ended(poll)) return;
      tell(poll, State::live, Reason::none, "the last poll succeeded", next_poll(poll, poll.schedule));
      poll.name.clear();
      const auto delay = std::chrono::ceil<Millis>(*poll.schedule.not_before - *poll.schedule.last_poll);
      if (!drop_if_unwanted(name)) plan(poll, delay);
      return;
    }
    case PollVerdict::Kind::store_failed: {
      // Not the API's fault: what was fetched is dropped, the state before it stays, and the next poll comes when it
      // would have.
      poll.in_flight = false;
      log.error("a poll could not be written and was dropped",
                {{"poll", poll.name}, {"channel", name}, {"reason", verdict.problem}});
      const Millis delay = keep_rest(poll, delay_after_success(interval_of(poll), poll.hints, random()));
      if (stays_ended(poll) || drop_if_unwanted(name)) return;
      return plan_again(poll, delay);
    }
    case PollVerdict::Kind::bad_result:
      return fail(poll, {State::failing, Reason::bad_result, verdict.problem});
    case PollVerdict::Kind::api_error:
      return fail(
          poll, failure_of_status(verdict.status, log.redact(verdict.problem), poll.hints, poll.asked->limited_status));
  }
}

// After a poll that changed nothing: things stand as they stood, but for when the next one comes.
void Fetcher::Impl::plan_again(ChannelPoll& poll, Millis delay) {
  tell(poll, poll.status.state, poll.status.reason, poll.status.message, clock.wall() + delay);
  plan(poll, delay);
}

Millis Fetcher::Impl::keep_rest(ChannelPoll& poll, Millis delay) {
  if (!poll.rest) return delay;
  const WallTime now = clock.wall();
  delay = std::max(delay, std::chrono::ceil<Millis>(*poll.rest - now));
  if (poll.schedule.last_poll) poll.schedule.last_poll = now;  // a good one or not; without one there still is none
  poll.schedule.not_before = now + delay;
  hooks.keep(poll.id, poll.schedule);
  return delay;
}

// The schedule that was committed with the poll could not know yet that it would find something.
void Fetcher::Impl::quicken(ChannelPoll& poll) {
  poll.pace->changed(clock.steady());
  poll.schedule.not_before = *poll.schedule.last_poll + delay_after_success(interval_of(poll), poll.hints, random());
  hooks.keep(poll.id, poll.schedule);
}

// An API that sends such items does so for days: the log hears of it when their number changes, the counters each time.
void Fetcher::Impl::count_odd_items(ChannelPoll& poll, const PollVerdict& verdict) {
  counts.skipped += verdict.skipped;
  counts.repeated += verdict.repeated;
  const bool skips_others = std::exchange(poll.skipped, verdict.skipped) != verdict.skipped;
  const bool repeats_others = std::exchange(poll.repeated, verdict.repeated) != verdict.repeated;
  if (!skips_others && !repeats_others) return;
  if (verdict.skipped + verdict.repeated == 0)
    return log.info("a poll's result holds no more items without an id, or ids twice",
                    {{"poll", poll.name}, {"channel", poll.id.text}});
  log.warning("a poll's result held items without an id, or ids twice",
              {{"poll", poll.name},
               {"channel", poll.id.text},
               {"skipped", std::to_string(verdict.skipped)},
               {"repeated", std::to_string(verdict.repeated)}});
}

bool Fetcher::Impl::stays_ended(const ChannelPoll& poll) {
  if (ended == Reason::none && !poll.refused) return false;
  drop_if_unwanted(poll.id.text);
  return true;
}

void Fetcher::Impl::fail(ChannelPoll& poll, Failure failure) {
  poll.in_flight = false;
  ++counts.polls[failure.reason];
  if (failure.reason == Reason::bad_result) result_problem = log.redact(poll.id.text + ": " + failure.message);
  const WallTime now = clock.wall();
  const bool other_keys = failure.reason == Reason::unauthorized && std::exchange(poll.outdated, false);
  poll.schedule.failures = other_keys ? 1 : poll.schedule.failures + 1;
  poll.schedule.refused_keys =
      failure.reason == Reason::unauthorized ? keys_mark(*metadata, keys, hooks.name_credential) : 0;
  const Millis delay = delay_after_failure(interval_of(poll), poll.schedule.failures, poll.hints, random());
  poll.schedule.last_poll = now;
  poll.schedule.not_before = now + delay;
  hooks.keep(poll.id, poll.schedule);
  if (log.writes(LogLevel::debug))
    log.debug("poll failed", {{"poll", poll.name},
                              {"channel", poll.id.text},
                              {"reason", std::string(text(failure.reason))},
                              {"message", failure.message}});
  if (stays_ended(poll)) return;
  tell(poll, failure.state, failure.reason, failure.message, poll.schedule.not_before);
  poll.name.clear();
  if (!drop_if_unwanted(poll.id.text)) plan(poll, delay);
}

void Fetcher::Impl::tell(ChannelPoll& poll, State state, Reason reason, const std::string& message,
                         std::optional<WallTime> next) {
  const bool transition = poll.status.state != state || poll.status.reason != reason;
  if (transition) poll.status.at = clock.wall();
  poll.status.state = state;
  poll.status.reason = reason;
  poll.status.message = log.redact(message);
  poll.status.next_poll = next;
  if (transition && state != State::pending)
    log.write(state == State::live ? LogLevel::info : LogLevel::warning, "channel " + std::string(text(state)),
              {{"channel", poll.id.text},
               {"reason", std::string(text(reason))},
               {"message", poll.status.message},
               {"poll", poll.name.empty() ? "none" : poll.name}});
  hooks.status(poll.id, poll.status, transition);
}

}  // namespace restream
