// A hash for tables of what strangers choose: ids of items, names of channels. std::hash has no secret, so texts that
// all have one hash can be made by the thousands, and each look-up then walks over all of them. From any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace restream {

struct TextHash {
  // By a secret that is made when it is first needed and that nobody learns; another one each time the program runs.
  std::size_t operator()(std::string_view text) const;
};

template <typename Value>
using TextMap = std::unordered_map<std::string, Value, TextHash>;
template <typename Text = std::string>
using TextSet = std::unordered_set<Text, TextHash>;

}  // namespace restream
