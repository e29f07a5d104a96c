// Of events in a row, the newest of each item: what is told to who asked for that. Pure.
//
// An item is told as new when its first event here says that it is, else as updated, whole and without a patch. One
// that is gone in the end is told as removed, whether or not it was there before: who resumes in the midst of such
// events may still have it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "model/event.hpp"
#include "model/text_hash.hpp"

namespace restream {

class Conflation {
 public:
  // In the log's order.
  void add(std::vector<Event> events);
  // How many are left.
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  // In the order of the events that are left; the last one is the last that was added.
  std::vector<Event> take();

 private:
  struct Known {
    std::size_t place = 0;
    bool began_new = false;
  };
  std::vector<Event> events_;
  TextMap<Known> items_;
};

}  // namespace restream
