#include "diff/projection.hpp"

#include <algorithm>
#include <utility>

#include "diff/diff.hpp"

namespace restream {

namespace {

using Branch = Projection::Branch;

void add_path(Branch& root, const std::vector<std::string>& tokens) {
  Branch* branch = &root;
  bool fresh = true;  // what has no branches below is whole, unless it was made just now
  for (const std::string& token : tokens) {
    if (!fresh && branch->below.empty()) return;  // a part of what is selected as a whole
    const auto at = std::ranges::lower_bound(branch->below, token, {}, &Branch::token);
    fresh = at == branch->below.end() || at->token != token;
    branch = fresh ? &*branch->below.insert(at, Branch{.token = token, .below = {}}) : &*at;
  }
  branch->below.clear();
}

bool write_selected(const Branch& branch, const JsonNode& node, std::string& out);

bool write_members(const Branch& branch, const JsonNode& object, std::string& out) {
  bool any = false;
  for (const Branch& step : branch.below) {
    const JsonNode* member = find_member(object, step.token);
    if (member == nullptr) continue;
    const std::size_t before = out.size();
    out += any ? "," : "{";
    write_json_string(step.token, out);
    out += ':';
    if (write_selected(step, *member, out))
      any = true;
    else
      out.resize(before);
  }
  if (any) out += '}';
  return any;
}

bool write_elements(const Branch& branch, const JsonNode& array, std::string& out) {
  std::vector<std::pair<std::size_t, const Branch*>> elements;
  for (const Branch& step : branch.below)
    if (const auto index = index_of(step.token); index && *index < array.children.size())
      elements.emplace_back(*index, &step);
  std::ranges::sort(elements);
  std::size_t next = 0;
  for (const auto& [index, step] : elements) {
    const std::size_t before = out.size();
    for (std::size_t i = next; i < index; ++i) out.append(i == 0 ? "[null" : ",null");
    out += index == 0 ? '[' : ',';
    if (write_selected(*step, array.children[index], out))
      next = index + 1;
    else
      out.resize(before);
  }
  if (next > 0) out += ']';
  return next > 0;
}

// Whether there was anything to write.
bool write_selected(const Branch& branch, const JsonNode& node, std::string& out) {
  if (branch.below.empty()) {
    out += node.raw;
    return true;
  }
  if (node.kind == JsonKind::object) return write_members(branch, node, out);
  return node.kind == JsonKind::array && write_elements(branch, node, out);
}

void add_counted(std::string_view text, std::string& out) {
  out.append(std::to_string(text.size())).append(":").append(text);
}

// The item as it was before the change; nothing for a new one, or when it is not known.
std::optional<std::string> item_before(const Change& change) {
  if (change.kind == ChangeKind::new_item || change.undo.empty()) return std::nullopt;
  if (change.kind == ChangeKind::removed_item) return change.undo;
  return apply_patch(change.item, change.undo);
}

}  // namespace

std::string filter_key(const Filter& filter) {
  std::string key(filter.select ? "s" : "");
  if (filter.select) {
    std::vector<std::string> pointers = *filter.select;
    std::ranges::sort(pointers);
    pointers.erase(std::ranges::unique(pointers).begin(), pointers.end());
    for (const std::string& pointer : pointers) add_counted(pointer, key);
  }
  std::vector<std::pair<std::string, std::string>> where;
  where.reserve(filter.where.size());
  for (const Filter::Condition& condition : filter.where) where.emplace_back(condition.pointer, condition.value);
  std::ranges::sort(where);
  key += 'w';
  for (const auto& [pointer, value] : where) {
    add_counted(pointer, key);
    add_counted(value, key);
  }
  return key;
}

Projection::Projection(const Filter& filter) : selects_(filter.select.has_value()) {
  if (filter.select)
    for (const std::string& pointer : *filter.select) add_path(root_, pointer_tokens(pointer));
  // All texts stand where they stay before anything points into them.
  for (const Filter::Condition& condition : filter.where)
    wanted_.push_back({.path = pointer_tokens(condition.pointer), .text = condition.value, .value = {}});
  for (Wanted& wanted : wanted_)
    if (auto value = parse_tree(wanted.text)) wanted.value = std::move(*value);
}

bool Projection::matches(const JsonNode& item) const {
  return std::ranges::all_of(wanted_, [&item](const Wanted& wanted) {
    const JsonNode* node = find_node(item, wanted.path);
    return node != nullptr && same_value(*node, wanted.value);
  });
}

std::optional<std::string> Projection::item(const JsonNode& item) const {
  if (!matches(item)) return std::nullopt;
  if (!selects_) return std::string(item.raw);
  std::string out;
  if (root_.below.empty() || !write_selected(root_, item, out)) return item.kind == JsonKind::array ? "[]" : "{}";
  return out;
}

std::optional<std::string> Projection::item(std::string_view json) const {
  const std::optional<JsonNode> tree = parse_tree(json);
  return tree ? item(*tree) : std::nullopt;
}

BothStates::BothStates(const Change& change) : change_(change) {
  if (auto before = item_before(change)) {
    before_text_ = std::move(*before);
    before_ = parse_tree(before_text_);
  }
  if (change.kind != ChangeKind::removed_item) after_ = parse_tree(change.item);
}

std::optional<Change> BothStates::through(const Projection& projection) const {
  std::optional<std::string> before;
  std::optional<std::string> after;
  if (before_) before = projection.item(*before_);
  if (after_) after = projection.item(*after_);
  Change seen{.kind = ChangeKind::new_item, .id = change_.id, .item = {}, .patch = {}, .undo = {}};
  if (!after) {
    // What was there before may be unknown: to be told of an item's end once too often does no harm.
    const bool unknown = !before_ && change_.kind != ChangeKind::new_item;
    if (!before && !unknown) return std::nullopt;
    seen.kind = ChangeKind::removed_item;
    return seen;
  }
  if (before) {
    std::string patch = projection.whole_items() ? change_.patch : make_patch(*before, *after);
    if (patch == "[]") return std::nullopt;
    seen.kind = ChangeKind::updated_item;
    seen.patch = std::move(patch);
  }
  seen.item = std::move(*after);
  return seen;
}

std::vector<Event> events_through(const Projection& projection, const std::vector<Event>& events) {
  std::vector<Event> seen;
  for (const Event& event : events)
    if (auto change = BothStates(event.change).through(projection))
      seen.push_back({.offset = event.offset, .time = event.time, .change = std::move(*change)});
  return seen;
}

}  // namespace restream
