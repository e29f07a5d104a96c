// What a subscriber wants to see of a channel's items. Values only.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace restream {

struct Filter {
  struct Condition {
    std::string pointer;
    std::string value;  // JSON text of a string, a number, a boolean or null
  };
  // JSON pointers of the parts of an item that are told; none: just that items come and go. Nothing: whole items.
  std::optional<std::vector<std::string>> select;
  std::vector<Condition> where;  // all must hold

  [[nodiscard]] bool empty() const { return !select && where.empty(); }
};

}  // namespace restream
