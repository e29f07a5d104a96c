#include "fetch/plugin.hpp"

#include <restream/fetcher.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fetch/call_places.hpp"
#include "fetch/call_queue.hpp"
#include "fetch/crash_record.hpp"
#include "fetch/kept_plugin.hpp"
#include "fetch/plugin_http.hpp"
#include "fetch/plugin_log.hpp"

namespace restream {

namespace {

// What the requests of one plugin may hold while they are under way: one may have 16 MiB, and 120 calls ask at once.
constexpr std::size_t most_held = 64U << 20U;

}  // namespace

struct Plugin::Impl : std::enable_shared_from_this<Plugin::Impl> {
  // A call under way in the host.
  struct Call {
    std::string poll;
    std::shared_ptr<const HttpRules> rules;
    std::shared_ptr<Allowance> allowance;
    std::vector<int> limited_status;
    CallTrust trust{};
    SteadyTime http_deadline;
    std::function<void(PluginReply)> done;
    PluginReply reply;  // filled as its requests are answered
    std::vector<HttpTicket> requests;
  };

  Impl(Surroundings given, HostOptions host_options, std::function<void()> on_change)
      : around(std::move(given)), options(std::move(host_options)), changed(std::move(on_change)) {}

  // The file itself, or its kept bytes where another file has taken its place.
  std::expected<std::filesystem::path, std::string> file_to_load() {
    const auto now_there = stamp_of(options.plugin);
    if (!kept) {
      stamp = now_there;
      return options.plugin;
    }
    if (now_there == stamp) return options.plugin;
    scratch_file = around.scratch / options.plugin.filename();
    if (auto written = kept->write(scratch_file); !written)
      return std::unexpected("its file was replaced, and what was kept of it cannot be used: " + written.error());
    return scratch_file;
  }

  void remove_scratch_file() {
    if (!scratch_file.empty()) std::remove(std::exchange(scratch_file, {}).c_str());
  }

  void keep() {
    if (!stamp) return;
    auto made = KeptPlugin::keep(options.plugin, *stamp);
    if (made) {
      kept.emplace(std::move(*made));
    } else {
      around.log.info("no copy of the plugin is kept for a restart",
                      {{"plugin", options.name}, {"reason", made.error()}});
    }
  }

  void start() {
    state = PluginState::loading;
    const auto file = file_to_load();
    HostOptions host_options = options;
    if (file) host_options.plugin = *file;
    const std::weak_ptr<Impl> weak = weak_from_this();
    HostCallbacks callbacks;
    callbacks.ready = [weak](const HostReady& ready) {
      if (const auto self = weak.lock()) self->on_ready(ready);
    };
    callbacks.ended = [weak](const HostEnd& end) {
      if (const auto self = weak.lock()) self->on_end(end);
    };
    callbacks.http = [weak](CallNumber call, HostHttpRequest request, std::function<void(HostHttpResponse)> reply) {
      if (const auto self = weak.lock()) self->on_http(call, std::move(request), std::move(reply));
    };
    callbacks.log = [weak](LogSource source, int level, CallNumber call, const std::string& line) {
      if (const auto self = weak.lock()) self->on_log(source, level, call, line);
    };
    callbacks.uncounted = [weak] {
      if (const auto self = weak.lock()) log_uncounted(self->around.log, self->options.name, self->host->pid());
    };
    host = std::make_unique<HostProcess>(around.io, around.clock, std::move(host_options), std::move(callbacks));
    auto started = file ? host->start() : std::unexpected(file.error());
    if (!started) {
      // Told by way of the loop: nobody expects a change from inside start().
      around.loop.post([weak, reason = std::move(started.error())] {
        if (const auto self = weak.lock())
          self->on_end({.refused = false, .timed_out = false, .reason = reason, .last_line = {}});
      });
    }
  }

  void on_ready(const HostReady& ready) {
    remove_scratch_file();
    if (stopped) return;
    around.log.info("plugin loaded", {{"plugin", options.name},
                                      {"pid", std::to_string(host->pid())},
                                      {"sdk", ready.sdk_version},
                                      {"abi", ready.abi}});
    state = PluginState::ready;
    changed();
  }

  void on_end(const HostEnd& end) {
    remove_scratch_file();
    if (stopped) return;
    std::string reason = end.reason;
    if (!end.last_line.empty()) reason += "; its last line: " + end.last_line;
    last_error = around.log.redact(reason);
    // Destroyed by way of the loop, because this may be one of its own callbacks.
    around.loop.post([old = std::shared_ptr<HostProcess>(std::move(host))] {});
    if (gone) {
      state = PluginState::refused;
      problem = "another version has taken over";
    } else if (end.refused || on_trial) {
      state = PluginState::refused;
      problem = end.refused ? end.reason : "its host ended: " + reason;
    } else {
      restart_later(end, reason);
    }
    settle_lost(end);
    if (gone) return finish();
    changed();
  }

  // A call that does not come back is as bad as a crash: its process is gone too, and with it the calls of others.
  void restart_later(const HostEnd& end, const std::string& reason) {
    ++restarts;
    state = PluginState::restarting;
    problem = "its host ended: " + end.reason;
    const auto delay = crashes.crashed(around.clock.steady(), around.random());
    if (!delay) {
      state = PluginState::held;
      problem = "held after " + std::to_string(crashes.recent()) + " crashes in ten minutes: " + end.reason;
      around.log.error("plugin held: it is tried again when its file changes",
                       {{"plugin", options.name}, {"file", options.plugin.string()}, {"reason", reason}});
      return;
    }
    around.log.error("plugin host ended", {{"plugin", options.name},
                                           {"file", options.plugin.string()},
                                           {"reason", reason},
                                           {"restart_in", std::to_string(delay->count()) + "ms"}});
    around.loop.at(around.clock.steady() + *delay, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self && self->state == PluginState::restarting && !self->gone) self->start();
    });
  }

  // Calls that were under way when the host ended. Each got `lost` before on_end() and waits here for the reason.
  void settle_lost(const HostEnd& end) {
    for (auto& [done, reply] : std::exchange(lost, {})) {
      reply.kind = end.timed_out || gone ? PluginReply::Kind::retry : PluginReply::Kind::crashed;
      reply.problem = end.reason;
      reply.last_line = end.last_line;
      done(std::move(reply));
    }
    // Not started yet: call() answers each with `retry`.
    for (PluginCall& waiting : queue.take_all()) call(std::move(waiting));
  }

  void retire(std::function<void()> when_gone) {
    gone = std::move(when_gone);
    for (PluginCall& waiting : queue.take_all()) retry_elsewhere(std::move(waiting.done));
    if (calls.empty()) finish();
  }

  // Nothing runs here any more.
  void finish() {
    if (calls.empty() && gone) around.loop.post(std::exchange(gone, [] {}));
  }

  void stop() {
    remove_scratch_file();
    stopped = true;
    state = PluginState::refused;
    for (auto& [number, call] : std::exchange(calls, {})) {
      for (const HttpTicket ticket : call.requests) around.http.cancel(ticket);
      retry_elsewhere(std::move(call.done));
    }
    for (PluginCall& waiting : queue.take_all()) retry_elsewhere(std::move(waiting.done));
    around.loop.post([old = std::shared_ptr<HostProcess>(std::move(host))] {});
  }

  void retry_elsewhere(std::function<void(PluginReply)> done) {
    PluginReply reply;
    reply.kind = PluginReply::Kind::retry;
    reply.problem = problem;
    around.loop.post([done = std::move(done), reply = std::move(reply)]() mutable { done(std::move(reply)); });
  }

  void call(PluginCall asked) {
    if (state != PluginState::ready || gone) return retry_elsewhere(std::move(asked.done));
    if (!places.has(asked.rules.get(), asked.trust)) return queue.push(std::move(asked));
    places.take(asked.rules.get(), asked.trust);
    const SteadyTime now = around.clock.steady();
    // done() may only come after call() has returned the number, which HostProcess promises.
    const auto number = std::make_shared<CallNumber>(0);
    *number = host->call(asked.function, asked.request, now + asked.timeout,
                         [weak = weak_from_this(), number](CallResult result) {
                           if (const auto self = weak.lock()) self->on_result(*number, std::move(result));
                         });
    calls.emplace(*number, Call{.poll = std::move(asked.poll),
                                .rules = std::move(asked.rules),
                                .allowance = std::move(asked.allowance),
                                .limited_status = std::move(asked.limited_status),
                                .trust = asked.trust,
                                .http_deadline = now + http_part(asked.timeout),
                                .done = std::move(asked.done),
                                .reply = {},
                                .requests = {}});
  }

  bool cancel(const std::string& poll) {
    if (poll.empty()) return false;
    if (auto waiting = queue.take(poll)) {
      retry_elsewhere(std::move(waiting->done));
      return true;
    }
    const auto found = std::ranges::find_if(calls, [&](const auto& one) { return one.second.poll == poll; });
    if (found == calls.end() || !host) return false;
    host->cancel(found->first);
    return true;
  }

  void on_result(CallNumber number, CallResult result) {
    auto node = calls.extract(number);
    if (node.empty()) return;
    Call call = std::move(node.mapped());
    places.give_back(call.rules.get(), call.trust);
    for (const HttpTicket ticket : call.requests) around.http.cancel(ticket);
    PluginReply reply = std::move(call.reply);
    reply.last_line = last_line;
    if (result.kind == CallResult::Kind::lost) {
      lost.emplace_back(std::move(call.done), std::move(reply));
      return;
    }
    reply.kind = result.kind == CallResult::Kind::returned ? PluginReply::Kind::returned : PluginReply::Kind::timed_out;
    reply.code = result.code;
    reply.output = std::move(result.output);
    if (reply.kind == PluginReply::Kind::timed_out) reply.problem = "the plugin did not return in time";
    call.done(std::move(reply));
    if (gone) return finish();
    if (state != PluginState::ready) return;
    if (auto next = queue.take_next(places)) this->call(std::move(*next));
  }

  void on_http(CallNumber number, HostHttpRequest asked, std::function<void(HostHttpResponse)> reply) {
    const auto found = calls.find(number);
    if (found == calls.end() || !found->second.rules) {
      reply({.code = found == calls.end() ? RESTREAM_CANCELLED : RESTREAM_REFUSED,
             .status = 0,
             .headers = {},
             .body = {},
             .error = "no HTTP here"});
      return;
    }
    Call& call = found->second;
    const std::size_t size = size_of(asked);
    const bool fits = size <= most_held - held;
    held += fits ? size : 0;
    HttpRequest request = request_of(std::move(asked));
    request.deadline = call.http_deadline;
    request.rules = call.rules;
    request.budget = call.allowance;
    if (around.log.writes(LogLevel::debug))
      around.log.debug("request", {{"poll", call.poll}, {"method", request.method}, {"url", shown_url(request.url)}});
    auto answered = [weak = weak_from_this(), number, loop = around.loop, taken = fits ? size : 0,
                     reply = std::move(reply)](HttpResult result) mutable {
      // On the http thread: core is where everything else is.
      loop.post([weak, number, taken, reply = std::move(reply), result = std::move(result)]() mutable {
        if (const auto self = weak.lock()) {
          self->held -= taken;
          self->remember(number, result);
        }
        reply(response_of(std::move(result)));
      });
    };
    if (!fits)
      return answered(std::unexpected(
          HttpError{.problem = HttpProblem::too_large,
                    .message = "the requests that this plugin has under way would hold more than 64 MiB together"}));
    call.requests.push_back(around.http.start(std::move(request), std::move(answered)));
  }

  void remember(CallNumber number, const HttpResult& result) {
    const auto found = calls.find(number);
    if (found == calls.end()) return;
    PluginReply& reply = found->second.reply;
    if (around.log.writes(LogLevel::debug))
      around.log.debug("answer", {{"poll", found->second.poll},
                                  {"status", std::to_string(result ? result->status : 0)},
                                  {"bytes", std::to_string(result ? result->body.size() : 0)},
                                  {"problem", result ? "none" : result.error().message}});
    const Hints hints = note_answer(reply, result, around.clock.wall());
    if (!result || !found->second.allowance) return;
    const bool limited = result->status == 429 || std::ranges::count(found->second.limited_status, result->status) > 0;
    found->second.allowance->answered(result->headers, around.clock.wall(), hints.retry_after, limited);
  }

  void on_log(LogSource source, int level, CallNumber number, const std::string& line) {
    last_line = line;
    const auto call = calls.find(number);
    log_line(around.log, options.name, source, level, call == calls.end() ? std::string() : call->second.poll, line);
  }

  Surroundings around;
  HostOptions options;
  std::function<void()> changed;
  PluginState state = PluginState::loading;
  std::optional<FileStamp> stamp;  // of the file it was started from
  std::optional<KeptPlugin> kept;
  std::filesystem::path scratch_file;  // while the host reads it; empty: none
  bool on_trial = false;
  bool stopped = false;
  std::function<void()> gone;  // set: it is retiring
  std::string problem = "it is being loaded";
  std::string last_error;
  std::string last_line;
  std::uint64_t restarts = 0;
  CrashRecord crashes;
  std::unique_ptr<HostProcess> host;
  std::unordered_map<CallNumber, Call> calls;
  CallPlaces places;     // which of them there are
  CallQueue queue;       // those without a place
  std::size_t held = 0;  // bytes of their requests under way
  std::vector<std::pair<std::function<void(PluginReply)>, PluginReply>> lost;
};

Plugin::Plugin(Surroundings surroundings, HostOptions options, std::function<void()> changed)
    : impl_(std::make_shared<Impl>(std::move(surroundings), std::move(options), std::move(changed))) {}
Plugin::~Plugin() = default;
void Plugin::start() { impl_->start(); }
void Plugin::keep() { impl_->keep(); }
void Plugin::set_on_trial(bool on_trial) { impl_->on_trial = on_trial; }
void Plugin::retire(std::function<void()> gone) { impl_->retire(std::move(gone)); }
void Plugin::stop() { impl_->stop(); }
void Plugin::call(PluginCall call) { impl_->call(std::move(call)); }
bool Plugin::cancel(const std::string& poll) { return impl_->cancel(poll); }
PluginState Plugin::state() const { return impl_->state; }
std::string Plugin::problem() const { return impl_->state == PluginState::ready ? std::string() : impl_->problem; }
std::uint64_t Plugin::restarts() const { return impl_->restarts; }
std::size_t Plugin::waiting() const { return impl_->queue.size(); }
int Plugin::pid() const { return impl_->host ? impl_->host->pid() : 0; }
std::string Plugin::last_error() const { return impl_->last_error; }

}  // namespace restream
