// Due times of many channels in one ordered structure, so that one timer serves them all. Runs on: core.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "model/clock.hpp"

namespace restream {

class Timetable {
 public:
  // Replaces the due time of `name`, if it has one.
  void set(const std::string& name, SteadyTime due) {
    clear(name);
    due_.emplace(name, due);
    order_.emplace(due, name);
  }

  void clear(const std::string& name) {
    const auto found = due_.find(name);
    if (found == due_.end()) return;
    order_.erase({found->second, name});
    due_.erase(found);
  }

  [[nodiscard]] std::optional<SteadyTime> earliest() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first;
  }

  // Takes the earliest of those that are due at `now`.
  std::optional<std::string> take_due(SteadyTime now) {
    if (order_.empty() || order_.begin()->first > now) return std::nullopt;
    std::string name = order_.begin()->second;
    clear(name);
    return name;
  }

 private:
  std::map<std::string, SteadyTime> due_;
  std::set<std::pair<SteadyTime, std::string>> order_;
};

}  // namespace restream
