#include "tool/trial.hpp"

#include <restream/fetcher.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "diff/diff.hpp"
#include "tool/key_source.hpp"

namespace restream::tool {

namespace {

constexpr std::size_t most_kept = 1000;  // where nobody asked for a recording
constexpr std::size_t least_secret = 8;  // what a Redactor can tell from ordinary words

std::unexpected<TrialProblem> usage(std::string message) {
  return std::unexpected(TrialProblem{.exit_code = exit_usage, .message = std::move(message)});
}

}  // namespace

struct Trial::Impl {
  explicit Impl(const TryOptions& given) : options(given) {}

  std::expected<void, TrialProblem> load() {
    const SteadyTime began = std::chrono::steady_clock::now();
    live.reset();
    bench = std::make_unique<Bench>(host_options(options.subject));
    auto opened = open_subject(*bench, options.subject);
    if (!opened)
      return std::unexpected(TrialProblem{.exit_code = exit_fault,
                                          .message = options.subject.plugin.string() + ": " + opened.error() +
                                                     "\n`restream-plugin check` tells more, and how to mend it."});
    subject = std::move(*opened);
    loading = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - began);
    return {};
  }

  std::expected<void, TrialProblem> read_recording() {
    std::ifstream file(options.replay, std::ios::binary);
    if (!file) return usage("--replay " + options.replay.string() + " cannot be read");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    auto read = parse_recording(text);
    if (!read) return usage("--replay " + options.replay.string() + ": " + read.error());
    recording = std::move(*read);
    return {};
  }

  std::expected<void, TrialProblem> choose_keys() {
    if (recording && options.keys.empty()) {
      keys = stand_in_keys(subject.metadata);
    } else {
      auto given = read_keys(options.keys, subject.metadata);
      if (!given) return usage(given.error().message);
      keys = std::move(*given);
    }
    for (const auto& [name, value] : keys)
      if (!options.record.empty() && value.size() < least_secret)
        return usage("the value of key '" + name +
                     "' has fewer than 8 characters: it cannot be told from ordinary words, so it could not be cut out "
                     "of a recording. Record with another key");
    redactor = Redactor(values_of(keys));
    return {};
  }

  Upstream upstream() {
    if (replay) return replay->next_call();
    if (!live) {
      auto rules = std::make_shared<const HttpRules>(
          HttpRules{.origins = {subject.origin}, .connect_to = options.origin, .allow_private = options.allow_private});
      live = std::make_unique<LiveUpstream>(*bench, options.http, std::move(rules),
                                            [this](const Exchange& exchange) { seen(exchange); });
    }
    return live->for_call(options.subject.timeout);
  }

  void seen(const Exchange& exchange) {
    now.exchanges.push_back(redacted(exchange, redactor));
    kept.push_back(now.exchanges.back());
    if (kept.size() > most_kept && options.record.empty()) kept.clear();
    PluginReply& told = reply;
    if (exchange.result) {
      told.http_problem.reset();
      told.http_message.clear();
      now.hints = read_hints(exchange.result->headers, std::chrono::system_clock::now());
    } else {
      told.http_problem = exchange.result.error().problem;
      told.http_message = exchange.result.error().message;
    }
    if (on_exchange) on_exchange(now.exchanges.back());
  }

  // What subscribers would hear; nothing when there are items.
  std::optional<Failure> failure_of(const BenchResult& result) {
    reply.kind = PluginReply::Kind::returned;
    reply.code = result.code;
    if (!now.lines.empty()) reply.last_line = now.lines.back().text;
    if (result.kind == CallResult::Kind::timed_out) {
      reply.kind = PluginReply::Kind::timed_out;
    } else if (!result.returned()) {
      reply.kind = PluginReply::Kind::crashed;
      const HostEnd end = bench->wait_for_end();
      reply.problem = end.reason;
      reply.last_line = end.last_line;
    }
    if (!result.returned() || result.code != RESTREAM_OK) return failure_of_reply(reply);
    const auto sliced =
        slice_result(result.output, {.id_field = subject.metadata.id_field, .ignore = {}, .unordered = {}});
    if (!sliced) return Failure{State::failing, Reason::bad_result, sliced.error().message};
    if (sliced->status_code != 200)
      return failure_of_status(sliced->status_code, sliced->text, now.hints, subject.metadata.limited_status);
    return std::nullopt;
  }

  TryOptions options;
  std::unique_ptr<Bench> bench;
  Subject subject;
  ChannelId channel;
  KeyValues keys;
  Redactor redactor;
  std::optional<Recording> recording;
  std::optional<Replay> replay;
  std::unique_ptr<LiveUpstream> live;  // goes before the bench it posts to
  std::vector<Exchange> kept;
  Millis loading{};

  // Of the poll under way.
  Poll now;
  PluginReply reply;
  std::function<void(const Exchange&)> on_exchange;
};

Trial::Trial(const TryOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Trial::~Trial() = default;

std::expected<void, TrialProblem> Trial::open() {
  Impl& self = *impl_;
  if (auto done = self.load(); !done) return done;
  const TryOptions& options = self.options;
  if (!options.replay.empty())
    if (auto done = self.read_recording(); !done) return done;
  // A recording knows which channel it is of.
  Params params = options.params;
  if (params.empty() && self.recording) params = self.recording->params;
  auto channel = canonical_channel(self.subject.metadata.name, self.subject.metadata.params, std::move(params));
  if (!channel) return usage("--params: " + channel.error().message);
  self.channel = std::move(*channel);
  if (auto done = self.choose_keys(); !done) return done;
  if (self.recording)
    self.replay.emplace(*self.recording, self.redactor, [&self](const Exchange& exchange) { self.seen(exchange); });
  return {};
}

Poll Trial::poll(const std::function<void(const Exchange&)>& on_exchange) {
  Impl& self = *impl_;
  self.now = {};
  self.reply = {};
  self.on_exchange = on_exchange;
  if (self.bench->ended()) {
    if (auto loaded = self.load(); !loaded) {
      self.now.failure = Failure{State::failing, Reason::plugin_crashed, loaded.error().message};
      return std::move(self.now);
    }
  }
  BenchResult result =
      self.bench->call(HostFunction::fetch, fetch_request(self.options.subject, self.channel, self.keys),
                       self.options.subject.timeout, self.upstream());
  self.now.back = std::chrono::steady_clock::now();
  self.now.lines = self.bench->take_lines();
  for (BenchLine& line : self.now.lines) line.text = self.redactor.redact(line.text);
  self.now.failure = self.failure_of(result);
  if (self.now.failure) self.now.failure->message = self.redactor.redact(self.now.failure->message);
  self.now.result = std::move(result);
  return std::move(self.now);
}

Recording Trial::recording() const {
  return {.fetcher = impl_->subject.metadata.name,
          .params = impl_->channel.params,
          .recorded = rfc3339(std::chrono::system_clock::now()),
          .exchanges = impl_->kept};
}

std::expected<void, TrialProblem> Trial::save() const {
  const Impl& self = *impl_;
  if (self.options.record.empty()) return {};
  std::ofstream file(self.options.record, std::ios::binary | std::ios::trunc);
  file << to_json(recording());
  file.close();
  if (file) return {};
  return std::unexpected(TrialProblem{.exit_code = exit_fault,
                                      .message = "--record " + self.options.record.string() + " cannot be written"});
}

const Subject& Trial::subject() const { return impl_->subject; }
const ChannelId& Trial::channel() const { return impl_->channel; }
bool Trial::is_over() const { return impl_->replay && impl_->replay->is_used_up(); }
Millis Trial::load_time() const { return impl_->loading; }
std::string Trial::redact(std::string_view text) const { return impl_->redactor.redact(text); }
Bench& Trial::bench() { return *impl_->bench; }

}  // namespace restream::tool
