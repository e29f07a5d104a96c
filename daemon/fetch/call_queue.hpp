// Calls of one plugin that wait for a place. The oldest that may go goes first; those that may go or not together,
// being one fetcher's and equally trusted, stand in one line, so that to find it takes no longer the more of them wait.
// A plugin's own. Runs on: core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "fetch/call_places.hpp"
#include "fetch/plugin.hpp"

namespace restream {

class CallQueue {
 public:
  void push(PluginCall call);
  // Nothing: none of those that wait has a place.
  [[nodiscard]] std::optional<PluginCall> take_next(const CallPlaces& places);
  [[nodiscard]] std::vector<PluginCall> take_all();  // oldest first
  [[nodiscard]] std::size_t size() const;

 private:
  struct Waiting {
    std::uint64_t number = 0;
    PluginCall call;
  };
  using Line = std::pair<CallPlaces::Owner, CallTrust>;  // who waits holds the owner, so it is there while the line is

  std::map<Line, std::deque<Waiting>> lines_;  // none of them empty
  std::uint64_t pushed_ = 0;
};

}  // namespace restream
