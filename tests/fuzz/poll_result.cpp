// What an API may answer by way of a plugin. Two results, with a NUL between them: items are cut out, and the patch
// from an item to its successor does what it says, and the second read by the layout of the first is as read whole.
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "diff/diff.hpp"
#include "diff/layout.hpp"
#include "expect.hpp"

using namespace restream;
using nlohmann::json;

namespace {

const DiffRules rules{.id_field = "id", .ignore = {"/seen", "/meta/at"}, .unordered = {"/tags"}};

std::map<std::string, std::string> items_of(std::string_view text) {
  std::map<std::string, std::string> out;
  const auto sliced = slice_result(text, rules);
  if (!sliced) {
    EXPECT(!sliced.error().message.empty());
    return out;
  }
  for (const SlicedItem& item : sliced->items) {
    EXPECT(item.json.find('\n') == std::string::npos);
    EXPECT(json::parse(item.json).is_object());
    EXPECT(out.emplace(item.id, item.json).second);
  }
  return out;
}

void read_again(std::string_view before, std::string_view after) {
  const auto first = slice_result(before, rules);
  if (!first) return;
  const auto layout = layout_of(before, *first);
  if (!layout) return;
  std::vector<std::string> ids;
  for (const SlicedItem& item : first->items) ids.push_back(item.id);
  const auto again = slice_again(after, rules, *layout, ids);
  if (!again) return;
  const auto whole = slice_result(after, rules);
  EXPECT(whole && whole->status_code == 200 && whole->skipped == 0 && whole->repeated == 0);
  EXPECT(whole->items.size() == again->items.size());
  for (std::size_t i = 0; i < whole->items.size(); ++i) {
    const SlicedItem& item = again->items[i];
    EXPECT(item.id == whole->items[i].id && item.begin == whole->items[i].begin && item.size == whole->items[i].size);
    EXPECT(item.seen || item.json == whole->items[i].json);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(text.find('\0'), size);
  read_again(text.substr(0, cut), text.substr(std::min(cut + 1, size)));
  const auto before = items_of(text.substr(0, cut));
  const auto after = items_of(text.substr(std::min(cut + 1, size)));
  for (const auto& [id, item] : before) {
    const auto now = after.find(id);
    if (now == after.end()) continue;
    const json patched = json::parse(item).patch(json::parse(make_patch(item, now->second)));
    EXPECT(patched == json::parse(now->second));
    if (item == now->second) EXPECT(content_fingerprint(item, rules) == content_fingerprint(now->second, rules));
  }
  return 0;
}
