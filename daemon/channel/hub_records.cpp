// What the hub remembers of channels: their schedules, when somebody last asked for them, and for how long. Runs on:
// core.
#include <algorithm>
#include <utility>

#include "channel/hub_impl.hpp"

namespace restream {

namespace {

constexpr std::chrono::hours forget_every{1};
// Strangers can bring one channel after the other to life and leave it: for each that may be active so many are
// remembered.
constexpr std::size_t remembered_for_each = 10;
constexpr std::size_t forgotten_at_once = 50;  // in one transaction, for which everything else waits
constexpr Seconds forget_more{1};

}  // namespace

void Hub::Impl::keep(const ChannelId& id, const Schedule& schedule) {
  Channel* channel = find(id.text);
  if (channel == nullptr) return;
  Schedule& kept = channel->record.schedule = schedule;
  // Somebody does, whether or not polls that would say so come to a good end.
  if (channel->demand() > 0) kept.last_demand = around.clock.wall();
  if (channel->worth_keeping())
    around.store.write(ScheduleWrite{.channel = id.text, .epoch = channel->record.head.epoch, .schedule = kept});
}

void Hub::Impl::forget_old() {
  const WallTime limit = around.clock.wall() - limits.forget;
  std::size_t may_go = forgotten_at_once;
  std::erase_if(records, [&](const auto& one) {
    if (may_go == 0 || one.second.schedule.last_demand >= limit) return false;
    --may_go;
    around.log.info("channel forgotten: nobody asked for it", {{"channel", one.first}});
    around.store.write(ForgetWrite{one.first});
    return true;
  });
  // Of those that are followed but not polled nobody else writes that they are.
  const WallTime half = around.clock.wall() - limits.forget / 2;
  for (const auto& [_, channel] : channels)
    if (channel.demand() > 0 && channel.record.schedule.last_demand < half) keep(channel.id, channel.record.schedule);
  const Seconds next = may_go == 0 ? forget_more : Seconds(forget_every);
  around.loop.at(around.clock.steady() + next, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->forget_old();
  });
}

// Forgets those that nobody has asked for in the longest time; some at once, since all are looked at for it.
void Hub::Impl::bound_records() {
  const std::size_t most = limits.channels * remembered_for_each;
  if (records.size() <= most) return;
  using Record = std::pair<const std::string, ChannelRecord>;
  std::vector<const Record*> by_demand;
  by_demand.reserve(records.size());
  for (const Record& one : records) by_demand.push_back(&one);
  const std::size_t count = std::min(records.size() - (most - most / 10), forgotten_at_once);
  const auto end = by_demand.begin() + static_cast<std::ptrdiff_t>(count);
  std::ranges::nth_element(by_demand, end, {}, [](const Record* one) { return one->second.schedule.last_demand; });
  std::vector<std::string> oldest;
  for (auto one = by_demand.begin(); one != end; ++one) oldest.push_back((*one)->first);
  for (const std::string& channel : oldest) {
    records.erase(channel);
    around.store.write(ForgetWrite{channel});
  }
  around.log.warning("channels forgotten that nobody follows: more were remembered than limits.channels is good for",
                     {{"forgotten", std::to_string(count)}, {"remembered", std::to_string(records.size())}});
}

}  // namespace restream
