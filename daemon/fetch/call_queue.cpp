#include "fetch/call_queue.hpp"

namespace restream {

void CallQueue::push(PluginCall call) {
  const Line line{call.rules.get(), call.trust};
  const Number number = ++pushed_;
  if (!call.poll.empty()) named_[call.poll] = {line, number};
  lines_[line].emplace(number, std::move(call));
}

std::optional<PluginCall> CallQueue::take_next(const CallPlaces& places) {
  auto next = lines_.end();
  for (auto at = lines_.begin(); at != lines_.end(); ++at) {
    if (next != lines_.end() && next->second.begin()->first < at->second.begin()->first) continue;
    if (places.has(at->first.first, at->first.second)) next = at;
  }
  if (next == lines_.end()) return std::nullopt;
  return take(next, next->second.begin()->first);
}

std::optional<PluginCall> CallQueue::take(const std::string& poll) {
  const auto named = named_.find(poll);
  if (named == named_.end()) return std::nullopt;
  const auto [line, number] = named->second;
  return take(lines_.find(line), number);
}

PluginCall CallQueue::take(Lines::iterator line, Number number) {
  PluginCall call = std::move(line->second.extract(number).mapped());
  if (line->second.empty()) lines_.erase(line);
  named_.erase(call.poll);
  return call;
}

std::vector<PluginCall> CallQueue::take_all() {
  std::map<Number, PluginCall> waiting;
  for (auto& [_, line] : lines_) waiting.merge(line);
  lines_.clear();
  named_.clear();
  std::vector<PluginCall> calls;
  calls.reserve(waiting.size());
  for (auto& [_, call] : waiting) calls.push_back(std::move(call));
  return calls;
}

std::size_t CallQueue::size() const {
  std::size_t waiting = 0;
  for (const auto& [_, line] : lines_) waiting += line.size();
  return waiting;
}

}  // namespace restream
