// RFC 6902 patches and content fingerprints: what is done with an item's tree.
#include <algorithm>

#include "diff/diff.hpp"
#include "diff/json_tree.hpp"

namespace restream {

namespace {

// "a/b~c" -> "a~1b~0c", and then as the inside of a JSON string.
std::string pointer_token(std::string_view name) {
  std::string token;
  for (const char c : name) {
    if (c == '~')
      token += "~0";
    else if (c == '/')
      token += "~1";
    else
      token += c;
  }
  std::string out;
  write_escaped(token, out);
  return out;
}

// Writes operations one after the other; each one's path is right for the document as the ones before have left it.
//
// Gives up when there is no end of it: each operation says the whole path again, deep values are compared once for each
// level above them, and whoever applies the operations moves what stands behind an element that comes or goes. An API
// could make each of these take the square of the item's size.
class PatchWriter {
 public:
  PatchWriter(std::size_t longest, std::size_t most_work) : longest_(longest), most_work_(most_work) {}

  void compare(const JsonNode& before, const JsonNode& after) {
    if (!same_value(before, after, work_)) compare_different(before, after);
  }
  [[nodiscard]] bool gave_up() const { return out_.size() >= longest_ || work_ > most_work_; }
  std::string take() { return std::move(out_) + ']'; }

 private:
  void compare_different(const JsonNode& before, const JsonNode& after) {
    if (gave_up()) return;
    if (before.kind == JsonKind::object && after.kind == JsonKind::object) {
      compare_objects(before, after);
    } else if (before.kind == JsonKind::array && after.kind == JsonKind::array) {
      compare_arrays(before.children, after.children);
    } else {
      add("replace", &after);
    }
  }

  void compare_objects(const JsonNode& before, const JsonNode& after) {
    for (const JsonNode& member : before.children) {
      const JsonNode* now = find_member(after, member.name);
      if (now != nullptr && same_value(member, *now, work_)) continue;  // most are; their path is never written
      if (gave_up()) return;
      const Step step(*this, pointer_token(member.name));
      if (now != nullptr)
        compare_different(member, *now);
      else
        move("remove", nullptr, before.children.size());
    }
    for (const JsonNode& member : after.children) {
      if (find_member(before, member.name) != nullptr) continue;
      if (gave_up()) return;
      const Step step(*this, pointer_token(member.name));
      move("add", &member, after.children.size());
    }
  }

  // Elements usually come or go at one place: what is equal at both ends stays, what lies between is compared index by
  // index, and the rest of the longer side is added or removed behind it.
  void compare_arrays(const std::vector<JsonNode>& before, const std::vector<JsonNode>& after) {
    const std::size_t shorter = std::min(before.size(), after.size());
    std::size_t head = 0;
    while (head < shorter && same_value(before[head], after[head], work_)) ++head;
    std::size_t tail = 0;
    while (tail < shorter - head && same_value(before[before.size() - 1 - tail], after[after.size() - 1 - tail], work_))
      ++tail;
    const std::size_t both = shorter - tail;
    for (std::size_t i = head; i < both && !gave_up(); ++i) {
      const Step step(*this, std::to_string(i));
      compare(before[i], after[i]);
    }
    for (std::size_t i = before.size() - tail; i > both && !gave_up(); --i) {
      const Step step(*this, std::to_string(i - 1));
      move("remove", nullptr, tail);
    }
    for (std::size_t i = both; i < after.size() - tail && !gave_up(); ++i) {
      const Step step(*this, std::to_string(i));
      move("add", &after[i], tail);
    }
  }

  // So many others make room, or close the gap.
  void move(std::string_view op, const JsonNode* value, std::size_t others) {
    work_ += others;
    add(op, value);
  }

  void add(std::string_view op, const JsonNode* value) {
    out_ += out_.size() > 1 ? ",{\"op\":\"" : "{\"op\":\"";
    out_ += op;
    out_ += "\",\"path\":\"";
    out_ += path_;
    out_ += '"';
    if (value != nullptr) {
      out_ += ",\"value\":";
      out_ += value->raw;
    }
    out_ += '}';
  }

  // One token deeper for as long as it lives.
  class Step {
   public:
    Step(PatchWriter& writer, const std::string& token) : path_(writer.path_), size_(path_.size()) {
      path_ += '/';
      path_ += token;
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { path_.resize(size_); }

   private:
    std::string& path_;
    std::size_t size_;
  };

  std::string path_;
  std::string out_ = "[";
  std::size_t work_ = 0;
  std::size_t longest_;
  std::size_t most_work_;
};

std::string replace_all(std::string_view by) {
  return R"([{"op":"replace","path":"","value":)" + std::string(by) + "}]";
}

// No longer than `longest`, or than replacing the item as a whole.
std::string patch_between(const JsonNode& before, const JsonNode& after, std::size_t longest) {
  constexpr std::size_t work_of_any = 64U << 10U;
  constexpr std::size_t work_of_a_byte = 8;  // most changes take less than one, and to find none takes two at most
  const std::size_t around = replace_all({}).size();
  PatchWriter writer(std::max(longest, after.raw.size() + around),
                     work_of_any + work_of_a_byte * (before.raw.size() + after.raw.size()));
  writer.compare(before, after);
  return writer.gave_up() ? replace_all(after.raw) : writer.take();
}

// Of what subscribers are told. Patches of small items say what has changed, even where that takes longer.
std::string forward_patch(const JsonNode& before, const JsonNode& after) {
  constexpr std::size_t longest_of_any = 64U << 10U;
  return patch_between(before, after, longest_of_any);
}

}  // namespace

ParsedItem::ParsedItem(std::string_view json) : json_(json) {
  if (auto tree = parse_tree(json)) tree_ = std::make_unique<JsonNode>(std::move(*tree));
}
ParsedItem::ParsedItem(ParsedItem&& other) noexcept = default;
ParsedItem& ParsedItem::operator=(ParsedItem&& other) noexcept = default;
ParsedItem::~ParsedItem() = default;

Fingerprint ParsedItem::content(const DiffRules& rules) {
  if (!tree_) return fingerprint_bytes(json_);
  for (const std::string& pointer : rules.ignore) {
    if (JsonNode* node = find_node(*tree_, pointer); node != nullptr) node->ignored = true;
  }
  for (const std::string& pointer : rules.unordered) {
    if (JsonNode* node = find_node(*tree_, pointer); node != nullptr) node->unordered = true;
  }
  std::string canonical;
  canonical.reserve(json_.size());
  write_canonical(*tree_, canonical);
  return fingerprint_bytes(canonical);
}

Patches ParsedItem::patches_from(std::string_view before) const {
  if (before == json_) return {.forward = "[]", .back = "[]"};
  const std::optional<JsonNode> old_tree = parse_tree(before);
  // What is no JSON slice_result() does not let through.
  if (!old_tree || !tree_) return {.forward = replace_all(json_), .back = replace_all(before)};
  return {.forward = forward_patch(*old_tree, *tree_), .back = patch_between(*tree_, *old_tree, 0)};
}

Fingerprint content_fingerprint(std::string_view item, const DiffRules& rules) {
  return ParsedItem(item).content(rules);
}

std::string make_patch(std::string_view before, std::string_view after) {
  if (before == after) return "[]";
  const std::optional<JsonNode> old_tree = parse_tree(before);
  const std::optional<JsonNode> new_tree = parse_tree(after);
  return old_tree && new_tree ? forward_patch(*old_tree, *new_tree) : replace_all(after);
}

Patches make_patches(std::string_view before, std::string_view after) { return ParsedItem(after).patches_from(before); }

}  // namespace restream
