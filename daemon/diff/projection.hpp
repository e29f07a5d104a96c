// A channel as seen through a filter: pure. Items go in, and come out as their followers see them, or not at all.
//
// What followers are told is what they would be told of a channel that holds only the items that match, cut down to
// what is selected: an update that begins to match is a new item, one that ceases to match a removed one, and one
// that changes nothing of what is selected is not told.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diff/json_tree.hpp"
#include "model/event.hpp"
#include "model/filter.hpp"

namespace restream {

// One text for all filters that ask for the same in the same words.
std::string filter_key(const Filter& filter);

class Projection {
 public:
  explicit Projection(const Filter& filter);
  Projection(const Projection&) = delete;
  Projection& operator=(const Projection&) = delete;

  // Nothing when the item does not match. Members are in the order of their names; an element of an array is at its
  // index, behind nulls for those that were not selected.
  [[nodiscard]] std::optional<std::string> item(const JsonNode& item) const;
  [[nodiscard]] std::optional<std::string> item(std::string_view json) const;
  [[nodiscard]] bool whole_items() const { return !selects_; }

  // A step on the way to what is selected; without any below it, all that is there.
  struct Branch {
    std::string token;
    std::vector<Branch> below;
  };

 private:
  struct Wanted {
    std::vector<std::string> path;
    std::string text;
    JsonNode value;  // of `text`
  };
  [[nodiscard]] bool matches(const JsonNode& item) const;

  bool selects_ = false;
  Branch root_;
  std::vector<Wanted> wanted_;
};

// A change with the item's states before and after it, read once for however many projections.
class BothStates {
 public:
  // The change must outlive it, and holds its undo (model/event.hpp).
  explicit BothStates(const Change& change);
  BothStates(const BothStates&) = delete;
  BothStates& operator=(const BothStates&) = delete;

  // The change as followers of the projection see it; nothing when they see none of it.
  [[nodiscard]] std::optional<Change> through(const Projection& projection) const;

 private:
  const Change& change_;
  std::string before_text_;
  std::optional<JsonNode> before_;
  std::optional<JsonNode> after_;
};

// What of the events is seen. Offsets and times stay.
std::vector<Event> events_through(const Projection& projection, const std::vector<Event>& events);

}  // namespace restream
