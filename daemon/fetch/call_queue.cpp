#include "fetch/call_queue.hpp"

#include <algorithm>
#include <iterator>

namespace restream {

void CallQueue::push(PluginCall call) {
  std::deque<Waiting>& line = lines_[{call.rules.get(), call.trust}];
  line.push_back({++pushed_, std::move(call)});
}

std::optional<PluginCall> CallQueue::take_next(const CallPlaces& places) {
  auto next = lines_.end();
  for (auto at = lines_.begin(); at != lines_.end(); ++at) {
    if (next != lines_.end() && next->second.front().number < at->second.front().number) continue;
    if (places.has(at->first.first, at->first.second)) next = at;
  }
  if (next == lines_.end()) return std::nullopt;
  PluginCall call = std::move(next->second.front().call);
  next->second.pop_front();
  if (next->second.empty()) lines_.erase(next);
  return call;
}

std::vector<PluginCall> CallQueue::take_all() {
  std::vector<Waiting> waiting;
  for (auto& [_, line] : lines_) std::ranges::move(line, std::back_inserter(waiting));
  lines_.clear();
  std::ranges::sort(waiting, {}, &Waiting::number);
  std::vector<PluginCall> calls;
  for (Waiting& one : waiting) calls.push_back(std::move(one.call));
  return calls;
}

std::size_t CallQueue::size() const {
  std::size_t waiting = 0;
  for (const auto& [_, line] : lines_) waiting += line.size();
  return waiting;
}

}  // namespace restream
