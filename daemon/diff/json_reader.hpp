// Reads JSON as a row of events that say where in the text each value stands. The only user of nlohmann's parser in
// this room: it knows the grammar, UTF-8 and escapes; we keep the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace restream {

enum class JsonKind : std::uint8_t { object, array, string, number, boolean, null };

// Deep nesting is an attack on whatever reads it next, and no API needs it.
constexpr std::size_t max_json_depth = 64;
constexpr std::size_t max_item_depth = max_json_depth - 2;  // an item stands in a list, which stands in an object

// Offsets are of bytes in the text; `end` is the one after the last. Each function may end the reading with false.
class JsonEvents {
 public:
  JsonEvents() = default;
  JsonEvents(const JsonEvents&) = delete;
  JsonEvents& operator=(const JsonEvents&) = delete;
  virtual ~JsonEvents() = default;

  virtual bool key(std::string& name) = 0;
  virtual bool open(JsonKind kind, std::size_t begin) = 0;  // an object or an array
  virtual bool close(std::size_t end) = 0;
  // `decoded` is the value of a string, and empty for every other kind.
  virtual bool scalar(JsonKind kind, std::size_t begin, std::size_t end, std::string& decoded) = 0;
};

// Nothing when all of `text` was read, or an event ended it; else what is wrong with it and where.
std::optional<std::string> read_json(std::string_view text, JsonEvents& events, std::size_t max_depth = max_json_depth);

// Reads the one value that `text` begins with and nothing behind it. False when it is not valid JSON (or too deep), or
// an event ended it. A NUL counts as the end of the text.
bool read_json_value(std::string_view text, JsonEvents& events, std::size_t max_depth);

}  // namespace restream
