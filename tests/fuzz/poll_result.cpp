// What an API may answer by way of a plugin. Two results, with a NUL between them: items are cut out, and the patch
// from an item to its successor does what it says.
#include <map>
#include <nlohmann/json.hpp>

#include "diff/diff.hpp"
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(text.find('\0'), size);
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
