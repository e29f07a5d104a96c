// What a fetcher is made of: shared by fetcher.cpp (the public face), fetcher_plugin.cpp (versions of the plugin, and
// what becomes of channels with them), fetcher_channels.cpp (who is wanted, and whose turn it is), fetcher_polls.cpp
// (one poll from call to verdict) and fetcher_view.cpp (what people see). Runs on: core.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "fetch/fetcher.hpp"
#include "fetch/timetable.hpp"
#include "fetch/verdicts.hpp"
#include "model/text_hash.hpp"

namespace restream {

struct ChannelPoll {
  ChannelId id;
  Params params;  // handed to the plugin: the id's, and defaults that a later version added
  Schedule schedule;
  Status status;
  bool wanted = true;
  bool waits = true;     // somebody does for its items; otherwise it is pinned and nothing more
  bool put_off = false;  // due, but polled later, because nobody waits
  SteadyTime linger_until;
  bool in_flight = false;                 // called, or its result is being committed
  bool cancelled = false;                 // the plugin was told that nobody waits: what comes back counts for nothing
  bool outdated = false;                  // called with keys that have been replaced since
  bool waiting = false;                   // due, but the plugin is down or a key is missing
  bool queued = false;                    // due, and its turn has not come
  bool urgent = false;                    // somebody said "now"
  bool refused = false;                   // the plugin does not take its params any more
  std::shared_ptr<const Metadata> asked;  // of the version that the poll under way was asked of
  std::shared_ptr<Allowance> allowance;
  std::string name;              // of the poll under way, in the log; empty: none is
  SteadyTime called;             // when the poll under way began
  bool polled = false;           // since it was wanted
  Hints hints;                   // of the poll under way, or the last one; of none while it was not polled
  std::optional<WallTime> rest;  // until then the API wants no request, as it said when it was last polled
  std::optional<Pace> pace;      // where the interval is adaptive
  // Of the last good poll: items without an id, and ids that were there before.
  std::size_t skipped = 0;
  std::size_t repeated = 0;
};

struct Fetcher::Impl : std::enable_shared_from_this<Fetcher::Impl> {
  Impl(FetcherSettings given, Clock c, CoreLoop l, Random r, Log lg, FetcherHooks h);

  // fetcher_plugin.cpp
  void plugin_changed(PluginState state, const std::string& problem);
  // That it has been down for long.
  void tell_waiting();
  void tell_down(ChannelPoll& poll);
  void ask(const std::function<void(PluginCall)>& call,
           std::function<void(std::expected<Introduction, NoIntroduction>)> done);
  void reconfigure(FetcherSettings given);
  void adopt(Introduction introduction);
  void respace(ChannelPoll& poll);
  void set_adaptive();
  void refuse(const std::string& reason);
  void end_all(Reason reason, const std::string& problem);
  [[nodiscard]] State state_when_ended() const;
  // A channel that another version of the plugin began.
  void fit(ChannelPoll& poll, bool had_ended);
  void settle();

  // fetcher_channels.cpp
  [[nodiscard]] std::expected<ChannelId, Refusal> resolve(Params given) const;
  void want(const ChannelId& id, const Schedule& known, bool waits);
  void unwant(const std::string& name);
  // Polls begin, for the first time or again.
  void begin(ChannelPoll& poll);
  // Somebody waits who did not before.
  void serve(const std::string& name);
  // The first poll of a channel that nobody waits for is put off by this much, so that many do not come at once.
  [[nodiscard]] Millis put_off();
  // True when nobody wants the channel, its linger is over and nothing is under way: it is gone then.
  bool drop_if_unwanted(const std::string& name);
  void plan(ChannelPoll& poll, Millis delay);
  void plan_again(ChannelPoll& poll, Millis delay);
  void wake_at(SteadyTime due);
  void set_pace(ChannelPoll& poll);
  [[nodiscard]] Millis interval_of(const ChannelPoll& poll) const;
  void on_wake();
  void resume_waiting();
  [[nodiscard]] std::expected<std::string, std::string> poll_soon(const std::string& name);
  // The keys are others now: the backoff was the old ones'.
  void retry_unauthorized();
  // The same of keys that were changed while nobody wanted the channel, or while the daemon was not running.
  void forgive_other_keys(ChannelPoll& poll);
  [[nodiscard]] std::optional<WallTime> rest_of(const ChannelPoll& poll) const;  // until then the API wants no request
  void set_quota_terms();
  // Comes back by poll_now() with the allowance.
  void ask_quota(ChannelPoll& poll);
  // What a poll that did not begin, or that is over, has not used.
  void give_back(ChannelPoll& poll);
  [[nodiscard]] WallTime next_poll(const ChannelPoll& poll, const Schedule& schedule) const;

  // fetcher_polls.cpp
  void poll_now(ChannelPoll& poll);
  [[nodiscard]] SecretText request_of(const ChannelPoll& poll) const;
  void on_reply(const std::string& name, PluginReply reply);
  void finished(const std::string& name, const Schedule& schedule, const PollVerdict& verdict);
  // Of a poll that counts for nothing else: what the API asked for. How long until the next one, `delay` at least.
  [[nodiscard]] Millis keep_rest(ChannelPoll& poll, Millis delay);
  // A poll that was under way when its channel ended changes nothing about that.
  bool stays_ended(const ChannelPoll& poll);
  void quicken(ChannelPoll& poll);
  void count_odd_items(ChannelPoll& poll, const PollVerdict& verdict);
  void fail(ChannelPoll& poll, Failure failure);
  void tell(ChannelPoll& poll, State state, Reason reason, const std::string& message, std::optional<WallTime> next);
  [[nodiscard]] std::string missing_keys() const;  // those declared that have no value; or empty
  [[nodiscard]] std::string missing_message(const std::string& missing) const;

  // fetcher_view.cpp
  [[nodiscard]] std::pair<State, Reason> health() const;
  [[nodiscard]] std::string error_to_show(const std::string& of_plugin) const;
  [[nodiscard]] std::string describe(std::uint64_t restarts, const std::string& last_error) const;
  [[nodiscard]] std::string status_item(std::uint64_t restarts, const std::string& last_error) const;

  FetcherSettings settings;
  std::optional<FetcherSettings> next_settings;  // once a version has introduced itself under them
  std::uint64_t settings_number = 0;
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
  SteadyTime down_since;  // while it is restarting, however often
  bool is_settled = false;
  Reason ended = Reason::none;  // refused, held, removed, or crashed since: no polls until a version is adopted
  bool refused_alone = false;   // the version that serves others is no good for this fetcher
  std::string end_problem;
  std::string result_problem;  // of the last result that could not be used, whichever channel's
  std::shared_ptr<const Metadata> metadata;
  std::shared_ptr<const HttpRules> rules;
  Millis interval{0};  // of every channel, or where an adaptive one begins
  std::optional<AdaptiveRange> adaptive;
  FetcherKeys keys;

  TextMap<ChannelPoll> polls;
  std::map<std::string, std::string> renamed;  // canonical id today -> the id under which the channel lives
  Timetable table;
  Timetable leaving;               // when the linger of those that nobody wants is over
  SteadyTime put_off_since;        // when the first of `begun_at_once` was
  unsigned begun_at_once = 0;      // of channels that nobody waits for, within an interval
  std::optional<SteadyTime> wake;  // what the alarm is set to, which is never later than the earliest of both tables
  Alarm alarm;                     // null until it is needed
};

}  // namespace restream
