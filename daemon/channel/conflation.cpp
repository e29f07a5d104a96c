#include "channel/conflation.hpp"

#include <utility>

namespace restream {

void Conflation::add(std::vector<Event> events) {
  for (Event& event : events) {
    const auto [known, first] = items_.try_emplace(event.change.id);
    if (first)
      known->second.began_new = event.change.kind == ChangeKind::new_item;
    else
      events_[known->second.place] = Event{};  // its bytes go now: a long log is never in memory as a whole
    known->second.place = events_.size();
    events_.push_back(std::move(event));
  }
}

std::vector<Event> Conflation::take() {
  std::erase_if(events_, [](const Event& event) { return event.offset == 0; });
  for (Event& event : events_) {
    Change& change = event.change;
    change.patch.clear();
    if (change.kind == ChangeKind::removed_item) continue;
    change.kind = items_.at(change.id).began_new ? ChangeKind::new_item : ChangeKind::updated_item;
  }
  items_.clear();
  return std::exchange(events_, {});
}

}  // namespace restream
