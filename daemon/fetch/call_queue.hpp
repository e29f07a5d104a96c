// Calls of one plugin that wait for a place. The oldest that may go goes first; those that may go or not together,
// being one fetcher's and equally trusted, stand in one line, so that to find it takes no longer the more of them wait.
// A plugin's own. Runs on: core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
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
  // The call of this poll; nothing: it does not wait.
  [[nodiscard]] std::optional<PluginCall> take(const std::string& poll);
  [[nodiscard]] std::vector<PluginCall> take_all();  // oldest first
  [[nodiscard]] std::size_t size() const;

 private:
  using Number = std::uint64_t;                          // the oldest has the least
  using Line = std::pair<CallPlaces::Owner, CallTrust>;  // who waits holds the owner, so it is there while the line is
  using Lines = std::map<Line, std::map<Number, PluginCall>>;

  PluginCall take(Lines::iterator line, Number number);

  Lines lines_;                                                     // none of them empty
  std::unordered_map<std::string, std::pair<Line, Number>> named_;  // by poll, those that have a name
  Number pushed_ = 0;
};

}  // namespace restream
