// The whole of it but the network, over days, with a clock that the test moves: fetchers that share a credential, their
// channels, an API that counts, subscribers that come and go, restarts in good order and by kill -9.
#include <restream/fetcher.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <random>
#include <set>

#include "fake_core.hpp"
#include "fetch/fetcher.hpp"

using namespace restream;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t calls_a_day = 1000;
constexpr int fetchers = 5;
constexpr int channels_each = 10;

std::string metadata_of(int number) {
  return R"({"name": "f)" + std::to_string(number) + R"(", "description": "d", "id_field": "id",
    "api_url": "https://api.example.com/{}", "doc_url": "u", "keys": ["api-key"], "poll_interval": 100,
    "params": {"n": {"required": true}}, "quota": {"calls": 1000, "per": "day", "shared_key": "api-key"}})";
}

class Days {
 public:
  // What outlives a restart.
  struct Disk {
    std::map<std::string, QuotaRecord> quotas;
    std::map<std::string, Schedule> schedules;
  };

  FakeCore core;
  Disk disk;
  std::vector<SteadyTime> seen;  // by the API
  std::mt19937 engine{42};
  std::map<std::string, int> polls;
  std::map<std::string, int> limited;
  std::map<std::string, Seconds> told;  // how long it is until the next poll, as people last heard

  void start() {
    ++life_;
    std::vector<QuotaRecord> kept;
    for (const auto& [_, record] : disk.quotas) kept.push_back(record);
    book_ = std::make_unique<QuotaBook>(
        QuotaBook::Surroundings{.loop = core.loop(),
                                .clock = core.clock(),
                                .write = [this](QuotaRecord record, auto done) { write(std::move(record), done); }},
        std::move(kept));
    for (int i = 0; i < fetchers; ++i) {
      const std::string name = "f" + std::to_string(i);
      fetchers_.push_back(std::make_unique<Fetcher>(
          FetcherSettings{.name = name, .plugin = name}, core.clock(), core.loop(), [this] { return draw(); },
          Log::none(), hooks()));
      fetchers_.back()->set_keys({{"api-key", "the same everywhere"}});
      introduce(*fetchers_.back(), metadata_of(i));
    }
    for (int i = 0; i < fetchers * channels_each; ++i) want(i);
  }

  void stop(bool orderly) {
    if (orderly) {
      closing_ = true;
      book_->close();
      closing_ = false;
    }
    ++life_;  // writes that are on their way are lost
    fetchers_.clear();
    book_.reset();
    wanted_.clear();
  }

  [[nodiscard]] ChannelId id(int number) const {
    return *fetchers_[static_cast<std::size_t>(number % fetchers)]->resolve({{"n", std::to_string(number)}});
  }
  void want(int number, std::size_t subscribers = 1) {
    const ChannelId channel = id(number);
    Fetcher& fetcher = *fetchers_[static_cast<std::size_t>(number % fetchers)];
    fetcher.want(channel, disk.schedules[channel.text]);
    fetcher.set_subscribers(channel.text, subscribers);
    wanted_.insert(number);
  }
  void unwant(int number) {
    fetchers_[static_cast<std::size_t>(number % fetchers)]->unwant(id(number).text);
    wanted_.erase(number);
  }
  void churn() {
    for (int i = 0; i < 3; ++i) {
      const int number = static_cast<int>(draw() * fetchers * channels_each);
      if (wanted_.contains(number) && wanted_.size() > 30)
        unwant(number);
      else if (!wanted_.contains(number))
        want(number, 1 + engine() % 20);
    }
  }
  double draw() { return std::uniform_real_distribution<double>(0.0, 1.0)(engine); }
  [[nodiscard]] std::string quota_shown() const { return fetchers_[0]->describe(0, {}); }

 private:
  static void introduce(Fetcher& fetcher, const std::string& metadata) {
    std::optional<Introduction> introduction;
    fetcher.ask(
        [&metadata](PluginCall call) {
          PluginReply reply;
          reply.kind = PluginReply::Kind::returned;
          reply.output = metadata;
          call.done(std::move(reply));
        },
        [&introduction](std::expected<Introduction, NoIntroduction> answer) {
          if (answer) introduction = std::move(*answer);
        });
    REQUIRE(introduction);
    fetcher.adopt(std::move(*introduction));
    fetcher.plugin_changed(PluginState::ready, {});
  }

  FetcherHooks hooks() {
    FetcherHooks hooks;
    hooks.call = [this](PluginCall call) { poll(std::move(call)); };
    hooks.polled = [this](Polled polled) {
      disk.schedules[polled.channel.text] = polled.schedule;
      ++polls[polled.channel.text];
      core.loop().post([this, life = life_, polled] {
        if (life == life_)
          for (const auto& fetcher : fetchers_)
            if (fetcher->metadata()->name == polled.channel.fetcher)
              fetcher->finished(polled.channel.text, polled.schedule, {});
      });
    };
    hooks.status = [this](const ChannelId& id, const Status& status, bool transition) {
      if (transition && status.reason == Reason::quota) ++limited[id.text];
      if (status.state == State::live && status.next_poll)
        told[id.text] = std::chrono::duration_cast<Seconds>(*status.next_poll - core.clock().wall());
    };
    hooks.keep = [this](const ChannelId& id, const Schedule& schedule) { disk.schedules[id.text] = schedule; };
    hooks.idle = [](const ChannelId&) {};
    hooks.settled = [] {};
    hooks.join_quota = [this] { return book_->join(); };
    hooks.name_credential = [](const std::string& secret) { return secret; };
    return hooks;
  }

  // One poll: a request, now and then with a redirect or a second page; the API counts each somewhere on its way.
  void poll(PluginCall call) {
    const int requests = draw() < 0.1 ? 2 : 1;
    auto shared = std::make_shared<PluginCall>(std::move(call));
    request(shared, requests);
  }
  void request(const std::shared_ptr<PluginCall>& call, int left) {
    const bool allowed = call->allowance->take();
    const Millis takes(static_cast<int>(20 + draw() * 3000));
    const SteadyTime now = core.clock().steady();
    if (allowed) seen.push_back(now + Millis(static_cast<int>(draw() * static_cast<double>(takes.count()))));
    core.loop().at(now + takes, [this, life = life_, call, left, allowed] {
      if (life != life_) return;
      if (allowed) call->allowance->end(1);
      if (allowed && left > 1) return request(call, left - 1);
      PluginReply reply;
      reply.output = R"({"status_code":200,"result":[]})";
      if (!allowed) {
        reply.code = RESTREAM_REFUSED;
        reply.http_problem = HttpProblem::quota;
      }
      call->done(std::move(reply));
    });
  }

  // A kill loses what is still on its way to the disk; an orderly end waits for it.
  void write(QuotaRecord record, const std::function<void(bool)>& done) {
    if (closing_) {
      disk.quotas[record.budget] = record;
      return;
    }
    core.loop().at(core.clock().steady() + 5ms, [this, life = life_, record, done] {
      if (life != life_) return;
      disk.quotas[record.budget] = record;
      done(true);
    });
  }

  int life_ = 0;
  bool closing_ = false;
  std::unique_ptr<QuotaBook> book_;
  std::vector<std::unique_ptr<Fetcher>> fetchers_;
  std::set<int> wanted_;
};

// The most calls that any window holds, wherever it begins.
std::size_t most_in_a_window(std::vector<SteadyTime> calls, Millis window) {
  std::ranges::sort(calls);
  std::size_t most = 0;
  for (std::size_t first = 0, last = 0; last < calls.size(); ++last) {
    while (calls[last] - calls[first] >= window) ++first;
    most = std::max(most, last - first + 1);
  }
  return most;
}

}  // namespace

TEST_CASE("50 channels share 1,000 calls a day over 3 days of restarts and churn: never one too many, few unused") {
  Days days;
  days.start();
  int restarts = 0;
  for (int half_hours = 1; half_hours <= 3 * 48; ++half_hours) {
    days.core.advance(30min);
    days.churn();
    if (half_hours % 17 != 0) continue;
    days.stop(++restarts % 2 == 0);
    days.core.advance(Millis(static_cast<int>(days.draw() * 20'000)));
    days.start();
  }
  CHECK(restarts == 8);
  CHECK(most_in_a_window(days.seen, 24h) <= calls_a_day);
  CHECK(days.seen.size() >= 3 * calls_a_day * 9 / 10);
  CHECK(days.seen.size() <= 3 * calls_a_day);
  const auto [least, most] = std::ranges::minmax_element(days.polls, {}, [](const auto& one) { return one.second; });
  CHECK(days.polls.size() == 50);
  CHECK(least->second > 0);
  CHECK(most->second > 0);
  INFO("calls: " << days.seen.size() << " of 3000, fullest day: " << most_in_a_window(days.seen, 24h)
                 << ", polls of a channel: " << least->second << " to " << most->second);
  CHECK(days.quota_shown().find(R"("calls":1000,"per":"day","left":)") != std::string::npos);
}

TEST_CASE("a channel with more subscribers is polled more often, and one that nobody watches costs nothing") {
  Days days;
  days.start();
  days.core.advance(1h);
  const std::string crowd = days.id(0).text;
  const std::string lonely = days.id(1).text;
  const std::string left = days.id(2).text;
  days.want(0, 128);
  days.unwant(2);
  days.core.advance(2h);
  const auto before = days.polls;
  days.core.advance(48h);
  const int crowd_polls = days.polls[crowd] - before.at(crowd);
  const int lonely_polls = days.polls[lonely] - before.at(lonely);
  CHECK(crowd_polls > 6 * lonely_polls);
  CHECK(lonely_polls > 10);
  CHECK(days.polls[left] == before.at(left));
}

TEST_CASE("when the quota is used up people hear limited: quota, once, and polls go on by themselves") {
  Days days;
  days.start();
  days.core.advance(10s);
  // A thousand new channels in one go: all that is left is used on them.
  for (int i = 100; i < 1100; ++i) days.want(i);
  days.core.advance(1h);
  CHECK(most_in_a_window(days.seen, 24h) <= calls_a_day);
  CHECK(days.seen.size() >= calls_a_day - 20);
  CHECK(days.limited.size() >= 50);
  for (const auto& [channel, times] : days.limited) CHECK(times == 1);
  days.core.advance(25h);
  CHECK(days.seen.size() > calls_a_day + 50);
  CHECK(most_in_a_window(days.seen, 24h) <= calls_a_day);
}

TEST_CASE("where a quota stretches intervals, the time of the next poll that people are told is the stretched one") {
  Days days;
  days.start();
  days.core.advance(24h);
  const auto before = days.polls;
  days.core.advance(24h);
  REQUIRE(days.told.size() == 50);
  for (const auto& [channel, told] : days.told) {
    const double real = 86'400.0 / (days.polls.at(channel) - before.at(channel));
    INFO(channel << ": told " << told.count() << " s, polled every " << real << " s, asked for 100 s");
    CHECK(static_cast<double>(told.count()) > 0.5 * real);  // what a poll costs is an average
    CHECK(static_cast<double>(told.count()) < 2 * real);
    CHECK(real > 3000);
  }
}
