// What the tests of the committer share: one channel that is polled by hand, on a store that counts.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "channel/committer.hpp"
#include "store/memory_store.hpp"

namespace commit_support {

using namespace restream;  // NOLINT: tests

inline WallTime at(std::int64_t seconds) { return WallTime(Seconds(1'800'000'000 + seconds)); }

inline std::shared_ptr<CommitRules> rules(bool complete) {
  auto made = std::make_shared<CommitRules>();
  made->diff.id_field = "id";
  made->complete = complete;
  return made;
}

// Counts what it is asked, so that a test can say that nothing was read.
class CountingStore final : public Store {
 public:
  MemoryStore kept;
  int item_reads = 0;
  std::size_t items_read = 0;
  std::vector<PollWrite> polls;

  std::vector<ChannelRecord> channels() override { return kept.channels(); }
  std::optional<ChannelRecord> channel(const std::string& channel) override { return kept.channel(channel); }
  std::vector<ItemState> item_states(const std::string& channel) override { return kept.item_states(channel); }
  std::vector<std::string> order(const std::string& channel) override { return kept.order(channel); }
  TextMap<std::string> items(const std::string& channel, std::span<const std::string> ids) override {
    if (!ids.empty()) ++item_reads;
    items_read += ids.size();
    return kept.items(channel, ids);
  }
  std::optional<Snapshot> snapshot(const std::string& channel) override { return kept.snapshot(channel); }
  std::expected<std::vector<Event>, HistoryGone> events(const std::string& channel, Position after,
                                                        std::size_t max_bytes) override {
    return kept.events(channel, after, max_bytes);
  }
  std::vector<QuotaRecord> quotas() override { return kept.quotas(); }
  void commit(std::span<const Write> writes) override {
    kept.commit(writes);
    for (const Write& write : writes)
      if (const auto* poll = std::get_if<PollWrite>(&write)) polls.push_back(*poll);
  }
};

// One channel, polled by hand.
struct Bench {
  CountingStore store;
  std::unique_ptr<Committer> committer = std::make_unique<Committer>(store);
  std::shared_ptr<const CommitRules> with = rules(false);
  WallTime now = at(0);

  PollOutcome poll_text(const std::string& result, const std::string& channel = "c") {
    now += Seconds(60);
    PollInput input{.channel = channel, .epoch = 7, .rules = with, .result = result, .now = now, .schedule = {}};
    input.schedule.last_poll = now;
    auto group = committer->commit(std::span(&input, 1), {});
    return std::move(group.polls.at(0));
  }
  PollOutcome poll(const std::string& items) { return poll_text(R"({"status_code":200,"result":[)" + items + "]}"); }
  // The changes as "new a", "updated b", "removed c".
  std::vector<std::string> tell(const std::string& items) {
    const PollOutcome outcome = poll(items);
    REQUIRE(outcome.problem.empty());
    std::vector<std::string> told;
    if (!outcome.events) return told;
    for (const Event& event : outcome.events->events) {
      std::string word(type_text(event.change.kind));
      told.push_back(word.substr(0, word.find('_')) + " " + event.change.id);
    }
    return told;
  }
  std::string shown() {
    std::string ids;
    const Snapshot snapshot = store.snapshot("c").value();
    for (const Item& item : snapshot.items) ids += item.id;
    return ids;
  }
  void restart() { committer = std::make_unique<Committer>(store); }
};

using Told = std::vector<std::string>;

inline const std::string a = R"({"id":"a"})";
inline const std::string b = R"({"id":"b"})";
inline const std::string c = R"({"id":"c"})";
inline const std::string a2 = R"({"id":"a","n":2})";

}  // namespace commit_support
