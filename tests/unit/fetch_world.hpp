// A fetcher whose world the test plays: plugin, commits, time. With a quota in its settings it counts, and each answer
// is that to one request.
#pragma once

#include <restream/fetcher.h>

#include <catch2/catch.hpp>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fake_core.hpp"
#include "fetch/fetcher.hpp"

namespace restream::test {

using namespace std::chrono_literals;

inline constexpr const char* metadata_text = R"({"name": "news", "description": "d", "id_field": "id",
  "api_url": "https://api.example.com/{}", "doc_url": "u", "keys": ["api-key"], "poll_interval": 100,
  "params": {"section": {"default": "home"}}})";

struct World {
  World() : World(FetcherSettings{.name = "news", .plugin = "news"}) {}
  explicit World(FetcherSettings settings)
      : book(settings.quota ? count() : nullptr),
        fetcher(std::move(settings), core.clock(), core.loop(), [this] { return random(); }, log, hooks()) {
    fetcher.set_keys({{"api-key", "k-123456789"}});
  }

  std::unique_ptr<QuotaBook> count() {
    const auto write = [this](const QuotaRecord&, const std::function<void(bool)>& done) {
      core.loop().post([done] { done(true); });
    };
    return std::make_unique<QuotaBook>(
        QuotaBook::Surroundings{.loop = core.loop(), .clock = core.clock(), .write = write},
        std::vector<QuotaRecord>{});
  }

  FetcherHooks hooks() {
    FetcherHooks h;
    h.call = [this](PluginCall call) { calls.push_back(std::move(call)); };
    h.cancel = [this](const std::string& poll) {
      cancelled.push_back(poll);
      return cancels;
    };
    h.polled = [this](Polled polled) { results.push_back(std::move(polled)); };
    h.status = [this](const ChannelId& id, const Status& status, bool transition) {
      if (transition)
        heard.push_back(id.text + " " + std::string(text(status.state)) + " " + std::string(text(status.reason)));
      last = status;
    };
    h.keep = [this](const ChannelId&, const Schedule& schedule) { kept = schedule; };
    h.idle = [this](const ChannelId& id) { idle.push_back(id.text); };
    h.settled = [this] { ++settled; };
    if (book) h.join_quota = [this] { return book->join(); };
    h.name_credential = [](const std::string& secret) {
      const std::string digits = std::to_string(std::hash<std::string>()(secret) % 1'000'000'007);
      return digits + std::string(32 - digits.size(), '0');
    };
    return h;
  }

  void load(const std::string& metadata = metadata_text) {
    fetcher.ask([this](PluginCall call) { calls.push_back(std::move(call)); },
                [this](std::expected<Introduction, NoIntroduction> answered) { introduced = std::move(answered); });
    REQUIRE(calls.size() == 1);
    REQUIRE(calls[0].function == HostFunction::metadata);
    answer(metadata);
    if (!introduced) return;
    fetcher.adopt(*introduced);
    fetcher.plugin_changed(PluginState::ready, {});
  }

  // Loaded, and somebody wants its home channel: the first poll of that is under way.
  void begin(const std::string& metadata = metadata_text) {
    load(metadata);
    fetcher.want(home(), {});
    core.advance(0ms);
  }

  ChannelId home() { return *fetcher.resolve({}); }

  PluginCall take_call() {
    REQUIRE_FALSE(calls.empty());
    PluginCall call = std::move(calls.front());
    calls.erase(calls.begin());
    return call;
  }
  void answer(std::string output, int code = RESTREAM_OK, const Hints& hints = {}) {
    PluginReply reply;
    reply.kind = PluginReply::Kind::returned;
    reply.code = code;
    reply.output = std::move(output);
    reply.hints = hints;
    const PluginCall call = take_call();
    if (call.allowance && call.allowance->take()) call.allowance->end(1);
    call.done(std::move(reply));
  }
  void answer_kind(PluginReply::Kind kind) {
    PluginReply reply;
    reply.kind = kind;
    reply.problem = "signal 11";
    take_call().done(std::move(reply));
  }
  void commit(PollVerdict verdict = {}) {
    REQUIRE_FALSE(results.empty());
    const Polled polled = std::move(results.front());
    results.erase(results.begin());
    fetcher.finished(polled.channel.text, polled.schedule, verdict);
  }
  // A good poll from call to commit.
  void poll() {
    answer(R"({"status_code":200,"result":[]})");
    commit();
  }

  FakeCore core;
  std::function<double()> random = [] { return 0.0; };
  std::vector<PluginCall> calls;
  std::vector<Polled> results;
  std::vector<std::string> heard;
  std::vector<std::string> idle;
  std::vector<std::string> cancelled;
  std::vector<std::pair<LogLevel, std::string>> lines;  // of the log
  Log log{[this](LogLevel level, const std::string& line) { lines.emplace_back(level, line); }, LogLevel::info};
  Status last;
  Schedule kept;
  int settled = 0;
  bool cancels = true;  // false: the plugin has not begun with the call
  std::expected<Introduction, NoIntroduction> introduced;
  std::unique_ptr<QuotaBook> book;  // null: nothing is counted
  Fetcher fetcher;
};

}  // namespace restream::test
