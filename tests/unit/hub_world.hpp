// The hub on a real loop with a real store thread, for the tests of the hub.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "channel/hub.hpp"
#include "store/memory_store.hpp"

namespace restream::test {

using namespace std::chrono_literals;

// The fetchers and the serve threads are the test.
struct World {
  explicit World(HubLimits limits = {}, std::vector<ChannelRecord> records = {})
      : hub(surroundings(), limits, std::move(records), hooks()), feed(hub.feed()) {
    ServeThread thread;
    thread.announce = [this](std::shared_ptr<const Announcement> one) { announced.push_back(std::move(one)); };
    thread.announce_status = [this](StatusAnnouncement one) { statuses.push_back(std::move(one)); };
    hub.serve_on({thread});
  }

  Hub::Surroundings surroundings() {
    CoreLoop loop;
    loop.post = [this](std::move_only_function<void()> work) { boost::asio::post(io, std::move(work)); };
    loop.at = [this](SteadyTime due, std::move_only_function<void()> work) {
      const auto timer = std::make_shared<boost::asio::steady_timer>(io, due);
      timer->async_wait([timer, work = std::move(work)](const boost::system::error_code& failed) mutable {
        if (!failed) work();
      });
    };
    return {.loop = loop, .clock = real_clock(), .draw_epoch = [] { return 7U; }, .store = store, .log = Log::none()};
  }

  HubHooks hooks() {
    HubHooks h;
    h.resolve = [this](const std::string& fetcher,
                       const Params& params) -> std::optional<std::expected<ChannelId, FeedError>> {
      if (!settled) return std::nullopt;
      if (fetcher != "news") return std::unexpected(FeedError{"unknown_channel", "no"});
      return make_channel_id(fetcher, params);
    };
    h.want = [this](const ChannelId& id, const Schedule& known, bool waits) {
      wanted_with = known;
      demand.push_back((waits ? "want " : "want without haste ") + id.text);
    };
    h.unwant = [this](const ChannelId& id) { demand.push_back("unwant " + id.text); };
    h.describe_fetchers = [](const std::optional<std::string>&) {
      return Document{.status = 200,
                      .json = R"({"fetchers":[{"name":"news","quota":{"calls":500}},{"name":"other"}]})",
                      .etag = {}};
    };
    h.readiness = [] { return Readiness{true, {}}; };
    return h;
  }

  // Runs the loop until `done` says so; a test that waits for nothing fails.
  template <class Done>
  void run_until(Done done) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!done()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      io.restart();
      io.run_for(1ms);
    }
  }

  // For replies that may come on another thread: `keep` runs on the loop.
  template <class Keep>
  auto on_loop(Keep keep) {
    return [this, keep](auto reply) { boost::asio::post(io, [keep, reply] { keep(reply); }); };
  }

  std::expected<Attached, FeedError> attach(Params params = {}, const std::string& since = {},
                                            const std::string& address = "a", Deliver deliver = Deliver::both,
                                            std::shared_ptr<const Filter> filter = nullptr) {
    std::optional<std::expected<Attached, FeedError>> got;
    feed.attach({.serve = 0,
                 .fetcher = "news",
                 .params = std::move(params),
                 .since = since,
                 .form = {.deliver = deliver},
                 .filter = std::move(filter),
                 .visitor = {.address = address, .access = nullptr}},
                [&](auto reply) { got = std::move(reply); });
    run_until([&] { return got.has_value(); });
    return *got;
  }

  PollOutcome poll(const std::string& items, Params params = {}) {
    std::optional<PollOutcome> got;
    const auto rules = std::make_shared<const CommitRules>(CommitRules{.diff = {.id_field = "id"}, .complete = true});
    Schedule schedule;
    schedule.last_poll = std::chrono::system_clock::now();
    hub.commit(make_channel_id("news", std::move(params)), rules, R"({"status_code":200,"result":)" + items + "}",
               schedule, [&](const PollOutcome& outcome) { got = outcome; });
    run_until([&] { return got.has_value(); });
    return *got;
  }

  HistoryChunk events(ChannelNumber channel, std::uint64_t after, Form form = {}, std::size_t most = 1U << 20U) {
    std::optional<std::expected<HistoryChunk, HistoryProblem>> got;
    feed.read_events(channel, after, form, most, on_loop([&](auto reply) { got = std::move(reply); }));
    run_until([&] { return got.has_value(); });
    REQUIRE(got->has_value());
    return **got;
  }

  SnapshotChunk snapshot(ChannelNumber channel, Form form = {}) {
    std::optional<std::expected<SnapshotChunk, HistoryProblem>> got;
    feed.read_snapshot(channel, form, on_loop([&](auto reply) { got = std::move(reply); }));
    run_until([&] { return got.has_value(); });
    REQUIRE(got->has_value());
    return **got;
  }

  Document document(Params params = {}) {
    std::optional<Document> got;
    feed.get_channel("news", std::move(params), {.address = "a", .access = nullptr},
                     on_loop([&](const std::shared_ptr<const Document>& reply) { got = *reply; }));
    run_until([&] { return got.has_value(); });
    return *got;
  }

  boost::asio::io_context io;
  StoreThread store{std::make_unique<MemoryStore>()};
  bool settled = true;
  Schedule wanted_with;  // of the channel that was wanted last
  std::vector<std::string> demand;
  std::vector<std::shared_ptr<const Announcement>> announced;
  std::vector<StatusAnnouncement> statuses;
  Hub hub;
  Feed feed;
};

}  // namespace restream::test
