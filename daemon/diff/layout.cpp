#include "diff/layout.hpp"

#include <algorithm>
#include <utility>

#include "diff/item_reader.hpp"
#include "model/text_hash.hpp"

namespace restream {

namespace {

constexpr std::size_t longest_surroundings = 1024;
constexpr std::size_t looked_ahead = 32;      // for the item that comes after some that were taken out
constexpr std::size_t most_strangers = 1024;  // with more, the list is another: reading the whole at once is cheaper

// Walks through a result and the layout of the one before side by side.
class Again {
 public:
  Again(std::string_view text, const DiffRules& rules, const Layout& before, std::span<const std::string> ids)
      : text_(text), before_(before), ids_(ids), finder_(rules.id_field) {}

  std::optional<Sliced> slice() {
    // What a NUL does to the reading is the whole reader's affair.
    if (!text_.starts_with(before_.head) || text_.find('\0') != std::string_view::npos) return {};
    at_ = before_.head.size();
    sliced_.status_code = 200;
    sliced_.items.reserve(ids_.size());
    do {
      if (!take_seen() && !take_other()) return {};
    } while (next());
    if (text_.substr(at_) != before_.tail || strangers_are_known()) return {};
    return std::move(sliced_);
  }

 private:
  // The bytes of an item that is known. They are one whole object, as they were then, whatever comes behind them.
  bool take_seen() {
    if (place_ == ids_.size()) return false;
    const Layout::Place& place = before_.places[place_];
    const std::string_view bytes = text_.substr(at_, place.size);
    if (bytes.size() != place.size || fingerprint_bytes(bytes) != place.bytes) return false;
    sliced_.items.push_back(SlicedItem{.id = ids_[place_], .json = {}, .begin = at_, .size = place.size, .seen = true});
    ++place_;
    at_ += place.size;
    return true;
  }

  // A changed item, a new one, or the one behind some that are gone.
  bool take_other() {
    const std::string_view rest = text_.substr(at_);
    auto item = read_item(rest, finder_);
    if (!item) return false;
    const auto ahead = ids_.subspan(place_, std::min(looked_ahead, ids_.size() - place_));
    if (const auto found = std::ranges::find(ahead, item->id); found != ahead.end())
      place_ += static_cast<std::size_t>(found - ahead.begin()) + 1;
    else if (strangers_.size() == most_strangers)
      return false;
    else
      strangers_.push_back(sliced_.items.size());
    sliced_.items.push_back(SlicedItem{.id = std::move(item->id),
                                       .json = one_line(rest.substr(0, item->size)),
                                       .begin = at_,
                                       .size = item->size,
                                       .seen = false});
    at_ += item->size;
    return true;
  }

  // To the next item; false when there is no comma.
  bool next() {
    std::size_t at = text_.find_first_not_of(" \t\n\r", at_);
    if (at == std::string_view::npos || text_[at] != ',') return false;
    at = text_.find_first_not_of(" \t\n\r", at + 1);
    if (at == std::string_view::npos || text_[at] != '{') return false;
    at_ = at;
    return true;
  }

  // Items that stand where they were have an id each. One that does not may be a second of its id.
  bool strangers_are_known() const {
    if (strangers_.empty()) return false;
    TextSet<std::string_view> ids;
    for (const std::size_t i : strangers_) {
      if (!ids.insert(sliced_.items[i].id).second) return true;
    }
    std::size_t found = 0;
    for (const SlicedItem& item : sliced_.items) found += ids.count(item.id);
    return found != strangers_.size();
  }

  std::string_view text_;
  const Layout& before_;
  std::span<const std::string> ids_;
  IdFinder finder_;
  Sliced sliced_;
  std::vector<std::size_t> strangers_;  // items that are not where the layout has them, if it has them
  std::size_t at_ = 0;                  // in the text
  std::size_t place_ = 0;               // in the layout: the first one that may come next
};

}  // namespace

std::optional<Layout> layout_of(std::string_view text, const Sliced& sliced) {
  if (sliced.items.empty() || sliced.skipped != 0 || sliced.repeated != 0) return {};
  const std::size_t begin = sliced.items.front().begin;
  const std::size_t end = sliced.items.back().begin + sliced.items.back().size;
  if (begin + (text.size() - end) > longest_surroundings) return {};
  Layout layout{.head = std::string(text.substr(0, begin)), .tail = std::string(text.substr(end)), .places = {}};
  layout.places.reserve(sliced.items.size());
  for (const SlicedItem& item : sliced.items)
    layout.places.push_back({.bytes = fingerprint_bytes(text.substr(item.begin, item.size)), .size = item.size});
  return layout;
}

std::optional<Sliced> slice_again(std::string_view text, const DiffRules& rules, const Layout& before,
                                  std::span<const std::string> ids) {
  if (ids.empty() || ids.size() != before.places.size()) return {};
  return Again(text, rules, before, ids).slice();
}

}  // namespace restream
