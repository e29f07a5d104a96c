// Applying RFC 6902 patches, as far as our own go: add, remove and replace.
#include <algorithm>
#include <charconv>
#include <utility>

#include "diff/diff.hpp"
#include "diff/json_tree.hpp"

namespace restream {

namespace {

// A node whose parts were changed has no text of its own any more.
void write_tree(const JsonNode& node, std::string& out) {
  if (!node.raw.empty()) {
    out += node.raw;
    return;
  }
  const bool object = node.kind == JsonKind::object;
  out += object ? '{' : '[';
  for (const JsonNode& child : node.children) {
    if (&child != &node.children.front()) out += ',';
    if (object) {
      write_json_string(child.name, out);
      out += ':';
    }
    write_tree(child, out);
  }
  out += object ? '}' : ']';
}

struct Place {
  std::vector<JsonNode>::iterator at;
  bool taken = false;  // something is there now
};

std::optional<Place> find_place(JsonNode& parent, const std::string& token) {
  std::vector<JsonNode>& children = parent.children;
  if (parent.kind == JsonKind::object) {
    const auto at = std::ranges::lower_bound(children, token, {}, &JsonNode::name);
    return Place{.at = at, .taken = at != children.end() && at->name == token};
  }
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (parent.kind != JsonKind::array || error != std::errc() || end != token.data() + token.size() ||
      index > children.size())
    return std::nullopt;
  return Place{.at = children.begin() + static_cast<std::ptrdiff_t>(index), .taken = index < children.size()};
}

bool apply(JsonNode& root, const JsonNode& operation) {
  const JsonNode* op = find_member(operation, "op");
  const JsonNode* path = find_member(operation, "path");
  const JsonNode* value = find_member(operation, "value");
  if (op == nullptr || path == nullptr) return false;
  const bool removes = op->string == "remove";
  if (value == nullptr && !removes) return false;
  if (path->string.empty()) {
    if (value != nullptr) root = *value;
    return value != nullptr;
  }
  const std::vector<std::string> tokens = pointer_tokens(path->string);
  JsonNode* parent = &root;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    parent->raw = {};
    const auto place = find_place(*parent, tokens[i]);
    if (!place || !place->taken) return false;
    parent = &*place->at;
  }
  parent->raw = {};
  const auto place = find_place(*parent, tokens.back());
  if (!place) return false;
  const bool adds = op->string == "add";
  if (!adds && !place->taken) return false;
  if (removes) {
    parent->children.erase(place->at);
    return true;
  }
  JsonNode node = *value;
  node.name = parent->kind == JsonKind::object ? tokens.back() : "";
  if (adds && !(place->taken && parent->kind == JsonKind::object))
    parent->children.insert(place->at, std::move(node));
  else
    *place->at = std::move(node);
  return true;
}

}  // namespace

std::optional<std::string> apply_patch(std::string_view item, std::string_view patch) {
  constexpr std::size_t patch_depth = max_json_depth + 2;  // an item may be a value of an operation of a list
  std::optional<JsonNode> tree = parse_tree(item);
  const std::optional<JsonNode> operations = parse_tree(patch, patch_depth);
  if (!tree || !operations || operations->kind != JsonKind::array) return std::nullopt;
  for (const JsonNode& operation : operations->children)
    if (operation.kind != JsonKind::object || !apply(*tree, operation)) return std::nullopt;
  std::string out;
  write_tree(*tree, out);
  return out;
}

}  // namespace restream
