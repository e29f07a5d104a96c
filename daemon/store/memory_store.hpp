// The store contract kept in memory, for tests and benchmarks: the same behaviour, but nothing outlives the object.
#pragma once

#include <map>
#include <string>

#include "store/store.hpp"

namespace restream {

class MemoryStore final : public Store {
 public:
  // While this is not empty, every commit fails with it.
  std::string broken;

  std::vector<ChannelRecord> channels() override;
  std::optional<ChannelRecord> channel(const std::string& channel) override;
  std::vector<ItemState> item_states(const std::string& channel) override;
  std::vector<std::string> order(const std::string& channel) override;
  TextMap<std::string> items(const std::string& channel, std::span<const std::string> ids) override;
  std::optional<Snapshot> snapshot(const std::string& channel) override;
  std::expected<std::vector<Event>, HistoryGone> events(const std::string& channel, Position after,
                                                        std::size_t max_bytes) override;
  std::vector<QuotaRecord> quotas() override;
  void commit(std::span<const Write> writes) override;

 private:
  struct Kept {
    ItemState state;
    std::string json;
  };
  struct Channel {
    ChannelRecord record;
    std::map<std::string, Kept> items;
    std::vector<std::string> order;
    std::vector<Event> events;
  };
  using Channels = std::map<std::string, Channel>;

  static Channel& find_or_make(Channels& channels, const std::string& id, std::uint64_t epoch);
  static void apply(Channels& channels, const PollWrite& write);
  static void apply(Channels& channels, const ScheduleWrite& write);
  static void apply(Channels& channels, const ForgetWrite& write);

  Channels channels_;
  std::map<std::string, QuotaRecord> quotas_;
};

}  // namespace restream
