#include "diff/json_tree.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace restream {

namespace {

class TreeBuilder final : public JsonEvents {
 public:
  explicit TreeBuilder(std::string_view text) : text_(text) {}
  JsonNode root;

  bool key(std::string& name) override {
    name_ = std::move(name);
    return true;
  }
  bool open(JsonKind kind, std::size_t begin) override {
    JsonNode& node = add(kind);
    node.raw = text_.substr(begin);  // cut when it closes
    open_.push_back(&node);          // stays where it is: siblings are added only after it is closed
    return true;
  }
  bool close(std::size_t end) override {
    JsonNode& node = *open_.back();
    open_.pop_back();
    node.raw = node.raw.substr(0, end - static_cast<std::size_t>(node.raw.data() - text_.data()));
    if (node.kind == JsonKind::object) sort_members(node.children);
    return true;
  }
  bool scalar(JsonKind kind, std::size_t begin, std::size_t end, std::string& decoded) override {
    JsonNode& node = add(kind);
    node.raw = text_.substr(begin, end - begin);
    node.string = std::move(decoded);
    return true;
  }

 private:
  JsonNode& add(JsonKind kind) {
    JsonNode& node = open_.empty() ? root : open_.back()->children.emplace_back();
    node.kind = kind;
    if (!open_.empty() && open_.back()->kind == JsonKind::object) node.name = std::move(name_);
    return node;
  }
  static void sort_members(std::vector<JsonNode>& members) {
    // By name and then by place in the text, which needs no memory of its own as a stable sort does.
    std::ranges::sort(members, [](const JsonNode& a, const JsonNode& b) {
      const int order = a.name.compare(b.name);
      return order < 0 || (order == 0 && a.raw.data() < b.raw.data());
    });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i + 1 < members.size() && members[i].name == members[i + 1].name) continue;
      if (kept != i) members[kept] = std::move(members[i]);
      ++kept;
    }
    members.resize(kept);
  }

  std::string_view text_;
  std::vector<JsonNode*> open_;
  std::string name_;
};

// "-120.50e1" -> "-1205e0": sign, digits without zeros at either end, power of ten. Exact, where a double is not.
std::string canonical_number(std::string_view raw) {
  std::string_view rest = raw;
  const bool negative = rest.starts_with('-');
  if (negative) rest.remove_prefix(1);
  std::int64_t power = 0;
  if (const std::size_t e = rest.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view exponent = rest.substr(e + 1);
    if (exponent.starts_with('+')) exponent.remove_prefix(1);
    const auto [end, error] = std::from_chars(exponent.data(), exponent.data() + exponent.size(), power);
    constexpr std::int64_t sane = 1'000'000'000'000;  // far from where the sums below could overflow
    if (error != std::errc() || power > sane || power < -sane) return std::string(raw);
    rest = rest.substr(0, e);
  }
  std::string digits;
  bool fraction = false;
  for (const char c : rest) {
    if (c == '.') {
      fraction = true;
      continue;
    }
    digits += c;
    if (fraction) --power;
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.empty()) return "0";
  while (digits.back() == '0') {
    digits.pop_back();
    ++power;
  }
  return (negative ? "-" : "") + digits + 'e' + std::to_string(power);
}

// With its length in front, so that no text can pass for another.
void write_counted(std::string_view text, std::string& out) {
  out += std::to_string(text.size());
  out += '"';
  out += text;
}

}  // namespace

std::optional<JsonNode> parse_tree(std::string_view text, std::size_t max_depth) {
  TreeBuilder builder(text);
  if (read_json(text, builder, max_depth)) return std::nullopt;
  return std::move(builder.root);
}

std::vector<std::string> pointer_tokens(std::string_view pointer) {
  if (!pointer.starts_with('/')) return {std::string(pointer)};
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      tokens.emplace_back();
    } else if (pointer[i] == '~' && i + 1 < pointer.size() && (pointer[i + 1] == '0' || pointer[i + 1] == '1')) {
      tokens.back() += pointer[++i] == '1' ? '/' : '~';
    } else {
      tokens.back() += pointer[i];
    }
  }
  return tokens;
}

std::optional<std::size_t> index_of(std::string_view token) {
  std::size_t index = 0;
  const char* const end = token.data() + token.size();
  const auto [rest, error] = std::from_chars(token.data(), end, index);
  if (error != std::errc() || rest != end || (token.size() > 1 && token.front() == '0')) return std::nullopt;
  return index;
}

const JsonNode* find_member(const JsonNode& object, std::string_view name) {
  const auto found = std::ranges::lower_bound(object.children, name, {}, &JsonNode::name);
  return found != object.children.end() && found->name == name ? &*found : nullptr;
}

const JsonNode* find_node(const JsonNode& root, std::span<const std::string> tokens) {
  const JsonNode* node = &root;
  for (const std::string& token : tokens) {
    const JsonNode* next = nullptr;
    if (node->kind == JsonKind::object) {
      next = find_member(*node, token);
    } else if (node->kind == JsonKind::array) {
      if (const auto index = index_of(token); index && *index < node->children.size()) next = &node->children[*index];
    }
    if (next == nullptr) return nullptr;
    node = next;
  }
  return node;
}

JsonNode* find_node(JsonNode& root, std::string_view pointer) {
  const JsonNode& same = root;
  return const_cast<JsonNode*>(find_node(same, pointer_tokens(pointer)));  // NOLINT: a part of `root`
}

void write_escaped(std::string_view text, std::string& out) {
  static constexpr std::string_view digits = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (byte < 0x20)
      out += {'\\', 'u', '0', '0', digits[byte >> 4U], digits[byte & 15U]};
    else
      out += c;
  }
}

void write_json_string(std::string_view text, std::string& out) {
  out += '"';
  write_escaped(text, out);
  out += '"';
}

bool same_value(const JsonNode& a, const JsonNode& b) {
  std::size_t nobody_asks = 0;
  return same_value(a, b, nobody_asks);
}

bool same_value(const JsonNode& a, const JsonNode& b, std::size_t& work) {
  constexpr std::size_t compared_at_once = 64;  // bytes, in the time that a node takes
  work += 1 + a.raw.size() / compared_at_once;
  if (a.raw == b.raw) return true;
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case JsonKind::string:
      return a.string == b.string;
    case JsonKind::number:
      return canonical_number(a.raw) == canonical_number(b.raw);
    case JsonKind::boolean:
    case JsonKind::null:
      return false;  // their raw texts differ
    case JsonKind::object:
    case JsonKind::array:
      break;
  }
  return std::ranges::equal(a.children, b.children, [&work](const JsonNode& x, const JsonNode& y) {
    return x.name == y.name && same_value(x, y, work);
  });
}

void write_canonical(const JsonNode& node, std::string& out) {
  switch (node.kind) {
    case JsonKind::null:
      out += 'z';
      return;
    case JsonKind::boolean:
      out += node.raw.front();
      return;
    case JsonKind::number:
      out += 'n' + canonical_number(node.raw) + ';';
      return;
    case JsonKind::string:
      out += 's';
      write_counted(node.string, out);
      return;
    case JsonKind::object:
      out += '{';
      for (const JsonNode& member : node.children) {
        if (member.ignored) continue;
        write_counted(member.name, out);
        write_canonical(member, out);
      }
      out += '}';
      return;
    case JsonKind::array:
      break;
  }
  std::vector<std::string> elements;
  for (const JsonNode& element : node.children) {
    if (!element.ignored) write_canonical(element, elements.emplace_back());
  }
  if (node.unordered) std::ranges::sort(elements);
  out += '[';
  for (const std::string& element : elements) out += element;
  out += ']';
}

}  // namespace restream
