// What is new, updated or gone: pure. Before and after go in, changes come out; no store, no clock, no threads.
//
// An item's bytes are never written anew: they are cut out of the poll's result as they stand (whitespace between
// tokens is dropped when it holds a line end, so that an item is always one line).
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/fingerprint.hpp"

namespace restream {

Fingerprint fingerprint_bytes(std::string_view bytes);

// What a fetcher declares of its items.
struct DiffRules {
  std::string id_field;                // a member, or a JSON pointer when it starts with '/'
  std::vector<std::string> ignore;     // JSON pointers left out of change detection
  std::vector<std::string> unordered;  // JSON pointers of arrays whose order does not matter
};

struct SlicedItem {
  std::string id;         // a numeric id is its decimal text
  std::string json;       // one line; left out when `seen`
  std::size_t begin = 0;  // where it stands in the result
  std::size_t size = 0;   // how many bytes it has there
  bool seen = false;      // stood in the result before, in the same bytes
};

struct Sliced {
  int status_code = 0;
  std::vector<SlicedItem> items;  // in order; of two items with one id the last one stays, in the place of the first
  std::size_t skipped = 0;        // without an id
  std::size_t repeated = 0;       // ids that came before
  std::string text;               // `result` when it is a string: what went wrong
};

struct SliceError {
  std::string message;  // for people: what and where
};

// Reads what fetch() emitted: {"status_code": n, "result": [item, …] or "text"}. Refuses what is no such thing, JSON
// deeper than 64 levels, text that is not UTF-8, numbers beyond a double's range, items of more than a million values,
// and results where over half of the items have no id. With another status than 200 there are no items, and a `result`
// that is no string counts as "".
std::expected<Sliced, SliceError> slice_result(std::string_view text, const DiffRules& rules);

struct Patches {
  std::string forward;
  std::string back;
};

struct JsonNode;

// An item, parsed once for all that is asked of it. Its text must outlive it.
class ParsedItem {
 public:
  explicit ParsedItem(std::string_view json);
  ParsedItem(ParsedItem&& other) noexcept;
  ParsedItem& operator=(ParsedItem&& other) noexcept;
  ~ParsedItem();

  // Of the item without ignored fields, with unordered arrays in a fixed order, independent of member order, white
  // space, escapes in strings and the way a number is written.
  [[nodiscard]] Fingerprint content(const DiffRules& rules);

  // RFC 6902 operations that turn `before` into this item, and back, as JSON text; "[]" when they are equal. Numbers
  // keep their text; numbers of equal value (1 and 1.0) are equal. Applying the one to `before` gives this item, member
  // order apart. The one back need not be the shortest to read, only short.
  [[nodiscard]] Patches patches_from(std::string_view before) const;

 private:
  std::string_view json_;
  std::unique_ptr<JsonNode> tree_;  // null: it is not JSON
};

// The same of texts that are needed once.
Fingerprint content_fingerprint(std::string_view item, const DiffRules& rules);
std::string make_patch(std::string_view before, std::string_view after);
Patches make_patches(std::string_view before, std::string_view after);

// `item` after a patch of make_patch() or make_patches(). Nothing when it does not fit. Members that were touched come
// in the order of their names.
std::optional<std::string> apply_patch(std::string_view item, std::string_view patch);

}  // namespace restream
