// JSON as a tree that keeps the bytes: every node knows the text it was read from, so that a number is passed on with
// all of its digits. Small, for items; the text must outlive the tree.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "diff/json_reader.hpp"

namespace restream {

struct JsonNode {
  JsonKind kind = JsonKind::null;
  bool ignored = false;            // left out of the canonical text
  bool unordered = false;          // an array whose order does not show in the canonical text
  std::string_view raw;            // as it stands in the text
  std::string name;                // of the member, when the parent is an object
  std::string string;              // decoded, of a string
  std::vector<JsonNode> children;  // an object's are sorted by name; of members with one name the last one stays
};

// Nothing when `text` is not JSON (or too deep).
std::optional<JsonNode> parse_tree(std::string_view text, std::size_t max_depth = max_json_depth);

// "/a/b~1c/0" -> a, b/c, 0. What has no '/' in front is taken for a single member name.
std::vector<std::string> pointer_tokens(std::string_view pointer);

// Of an element; nothing for what is none ("-", "01", a name).
std::optional<std::size_t> index_of(std::string_view token);

// Null when there is no such place.
JsonNode* find_node(JsonNode& root, std::string_view pointer);
const JsonNode* find_node(const JsonNode& root, std::span<const std::string> tokens);
const JsonNode* find_member(const JsonNode& object, std::string_view name);

// Equal values, whatever the order of members, the escapes, and the way numbers are written (1, 1.0, 10e-1).
bool same_value(const JsonNode& a, const JsonNode& b);
// Adds to `work` what it took: some nanoseconds each.
bool same_value(const JsonNode& a, const JsonNode& b, std::size_t& work);

// What goes between the quotes of a JSON string.
void write_escaped(std::string_view text, std::string& out);
void write_json_string(std::string_view text, std::string& out);

// One text for all equal values; not JSON. Leaves out what is ignored.
void write_canonical(const JsonNode& node, std::string& out);

}  // namespace restream
