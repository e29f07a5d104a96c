#include "channel/documents.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "diff/diff.hpp"
#include "model/built_in.hpp"

namespace restream {

namespace {

int http_status(const std::string& code) {
  if (code == "unknown_channel") return 404;
  if (code == "invalid_params" || code == "bad_request") return 400;
  if (code == "unauthorized") return 403;
  return 503;  // unavailable, too_many_channels: later may be better
}

}  // namespace

Document channels_document(std::span<const ChannelEntry> channels) {
  std::string out = R"({"channels":[)";
  const char* separator = "";
  for (const ChannelEntry& entry : channels) {
    const Status& status = *entry.status;
    out.append(separator).append(R"({"id":)").append(json_string(entry.id->text)).append(",").append(*entry.label);
    out.append(R"(,"state":")").append(text(status.state)).append(R"(","reason":)");
    out.append(status.reason == Reason::none ? "null" : json_string(text(status.reason)));
    out.append(R"(,"position":")").append(to_text(entry.record->head));
    out.append(R"(","items":)").append(std::to_string(entry.record->items));
    out.append(R"(,"subscribers":)").append(std::to_string(entry.subscribers));
    out.append(R"(,"last_poll":)").append(rfc3339_json(entry.record->schedule.last_poll));
    out.append(R"(,"next_poll":)").append(rfc3339_json(status.next_poll)).append("}");
    separator = ",";
  }
  out += "]}";
  return {.status = 200, .json = std::move(out), .etag = {}};
}

Document snapshot_document(std::string_view label, const Snapshot& snapshot, const Status& status) {
  const std::string extra = R"(,"state":")" + std::string(text(status.state)) + '"';
  Document document{.status = 200, .json = snapshot_json(label, snapshot.position, snapshot.items, extra), .etag = {}};
  const Fingerprint content = fingerprint_bytes(document.json);
  std::array<char, 40> tag{};
  std::snprintf(tag.data(), tag.size(), "\"%016" PRIx64 "%016" PRIx64 "\"", content.high, content.low);
  document.etag = tag.data();
  return document;
}

Document visible_fetchers(const Document& document, const Access& access) {
  auto json = nlohmann::ordered_json::parse(document.json);
  auto& fetchers = json.at("fetchers");
  auto seen = nlohmann::ordered_json::array();
  for (auto& fetcher : fetchers)
    if (may_see_fetcher(access, fetcher.value("name", ""))) seen.push_back(std::move(fetcher));
  fetchers = std::move(seen);
  if (!may_see(access, built_in_fetcher)) json.erase("refused_files");
  return {.status = document.status, .json = json.dump(), .etag = {}};
}

Document error_document(const FeedError& error) {
  return {.status = http_status(error.code),
          .json = R"({"type":"error","code":)" + json_string(error.code) + R"(,"message":)" +
                  json_string(error.message) + "}",
          .etag = {}};
}

}  // namespace restream
