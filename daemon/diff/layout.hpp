// Where the items of a result stood, so that the next result need only be read where it differs. Pure.
//
// Most polls of a long list change a few items of it. Reading all of a list as JSON takes two microseconds for each
// item; finding that the next bytes are those of the item that stood here takes some twenty nanoseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "diff/diff.hpp"

namespace restream {

struct Layout {
  struct Place {
    Fingerprint bytes;
    std::size_t size = 0;
  };
  std::string head;           // what stands before the first item
  std::string tail;           // what stands behind the last one
  std::vector<Place> places;  // of the items, in order
};

// Of a result and what slice_result() or slice_again() made of it. Nothing when the result cannot be read again this
// way: no items, items without an id or with one that came before, or a lot of text around the list.
std::optional<Layout> layout_of(std::string_view text, const Sliced& sliced);

// The same as slice_result(), but that items in bytes that stood in the result before are `seen`: they are neither
// looked into nor cut out. `ids` are those of the layout's places. Nothing when slice_result() must have a look.
std::optional<Sliced> slice_again(std::string_view text, const DiffRules& rules, const Layout& before,
                                  std::span<const std::string> ids);

}  // namespace restream
