#include "status_page.hpp"

#include "channel/frame.hpp"
#include "model/built_in.hpp"

namespace restream {

namespace {

// Neither position nor times of polls: those of a busy channel move at every look.
std::string channel_item(const ChannelEntry& entry) {
  const Status& status = *entry.status;
  std::string out = R"({"id":)" + json_string("channel/" + entry.id->text) + R"(,"kind":"channel",)" + *entry.label;
  out.append(R"(,"state":")").append(text(status.state)).append(R"(","reason":)");
  out.append(status.reason == Reason::none ? "null" : json_string(text(status.reason)));
  out.append(R"(,"message":)").append(json_string(status.message));
  out.append(R"(,"since":)").append(rfc3339_json(status.at));
  out.append(R"(,"items":)").append(std::to_string(entry.record->items));
  out.append(R"(,"subscribers":)").append(std::to_string(entry.subscribers)).append("}");
  return out;
}

}  // namespace

std::string status_page(std::vector<std::string> items, std::span<const ChannelEntry> channels) {
  for (const ChannelEntry& entry : channels)
    if (entry.id->fetcher != built_in_fetcher) items.push_back(channel_item(entry));
  std::string out = "[";
  for (const std::string& item : items) (out += out.size() == 1 ? "" : ",") += item;
  return out += "]";
}

}  // namespace restream
