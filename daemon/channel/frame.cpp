#include "channel/frame.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "channel/deflate.hpp"
#include "diff/diff.hpp"

namespace restream {

namespace {

constexpr std::size_t max_echo = 1024;  // bytes of a bad request that an error repeats

// The start of every channel message: `{"type":"…","channel":"…","params":{…}`.
std::string head(std::string_view type, std::string_view label) {
  std::string out = R"({"type":")";
  out.append(type).append("\",").append(label);
  return out;
}

void add_position(std::string& out, Position position) {
  out.append(R"(,"position":")").append(to_text(position)).append("\"");
}

// A channel's URL, out of its label.
std::string source_of(std::string_view label) {
  if (label.empty()) return "/channels";
  const nlohmann::json parsed = nlohmann::json::parse("{" + std::string(label) + "}");
  Params params;
  for (const auto& [name, value] : parsed.at("params").items()) params.emplace_back(name, value.get<std::string>());
  return "/channels/" + make_channel_id(parsed.at("channel").get<std::string>(), params).text;
}

// For a message that has no place in the log: one id for all that say the same.
std::string cloud_event_id(std::string_view type, std::string_view json) {
  const Fingerprint content = fingerprint_bytes(json);
  std::array<char, 40> digits{};
  std::snprintf(digits.data(), digits.size(), "-%016" PRIx64 "%016" PRIx64, content.high, content.low);
  return std::string(type) + digits.data();
}

// Whether it may stand in a message as it is. The parser overlooks a byte order mark, and what follows a NUL.
bool is_json(std::string_view text) {
  return !text.starts_with('\xef') && !text.contains('\0') && nlohmann::json::accept(text);
}

}  // namespace

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string channel_label(const ChannelId& id) {
  std::string out = R"("channel":)" + json_string(id.fetcher) + R"(,"params":{)";
  const char* separator = "";
  for (const auto& [name, value] : id.params) {
    out.append(separator).append(json_string(name)).append(":").append(json_string(value));
    separator = ",";
  }
  out += '}';
  return out;
}

std::string ready_json(std::string_view version) {
  return R"({"type":"ready","server":)" + json_string("restream " + std::string(version)) + R"(,"protocol":1})";
}

std::string subscribed_json(std::string_view label, Position position, bool resumed) {
  std::string out = head("subscribed", label);
  add_position(out, position);
  out.append(R"(,"resumed":)").append(resumed ? "true}" : "false}");
  return out;
}

std::string event_json(std::string_view label, std::uint64_t epoch, const Event& event, Deliver deliver) {
  const Change& change = event.change;
  const bool updated = change.kind == ChangeKind::updated_item;
  const bool with_item = change.kind != ChangeKind::removed_item && !(updated && deliver == Deliver::patch);
  const bool with_patch = updated && deliver != Deliver::item;
  std::string out;
  out.reserve(label.size() + change.id.size() + (with_item ? change.item.size() : 0) +
              (with_patch ? change.patch.size() : 0) + 160);
  out.append(R"({"type":")").append(type_text(change.kind)).append("\",").append(label);
  add_position(out, {epoch, event.offset});
  out.append(R"(,"time":")").append(rfc3339(event.time)).append(R"(","id":)").append(json_string(change.id));
  if (with_item) out.append(R"(,"item":)").append(change.item);
  if (with_patch) out.append(R"(,"patch":)").append(change.patch);
  out += '}';
  return out;
}

std::string snapshot_json(std::string_view label, Position position, std::span<const Item> items,
                          std::string_view extra) {
  std::size_t size = label.size() + extra.size() + 128;
  for (const Item& item : items) size += item.id.size() + item.json.size() + 24;
  std::string out;
  out.reserve(size);
  out = head("snapshot", label);
  add_position(out, position);
  out.append(R"(,"items":[)");
  const char* separator = "";
  for (const Item& item : items) {
    out.append(separator).append(R"({"id":)").append(json_string(item.id));
    out.append(R"(,"item":)").append(item.json).append("}");
    separator = ",";
  }
  out.append("]").append(extra).append("}");
  return out;
}

std::string status_json(std::string_view label, const Status& status) {
  std::string out = head("status", label);
  out.append(R"(,"state":")").append(text(status.state));
  out.append(R"(","reason":)").append(status.reason == Reason::none ? "null" : json_string(text(status.reason)));
  out.append(R"(,"message":)").append(json_string(status.message));
  out.append(R"(,"at":")").append(rfc3339(status.at));
  out.append(R"(","next_poll":)").append(rfc3339_json(status.next_poll)).append("}");
  return out;
}

std::string unsubscribed_json(std::string_view label) { return head("unsubscribed", label) + "}"; }

std::string unsubscribed_all_json(std::size_t count) {
  return R"({"type":"unsubscribed_all","count":)" + std::to_string(count) + "}";
}

std::string error_json(std::string_view code, std::string_view message, std::string_view request) {
  std::string out = R"({"type":"error","code":)" + json_string(code) + R"(,"message":)" + json_string(message);
  const bool whole = request.size() <= max_echo && is_json(request);
  out.append(R"(,"request":)").append(whole ? std::string(request) : json_string(request.substr(0, max_echo)));
  out += '}';
  return out;
}

void append_frame(std::string& out, std::string_view payload, Deflater* deflater) {
  constexpr char final_text = '\x81';             // FIN, opcode 1
  constexpr char final_compressed_text = '\xc1';  // RSV1 too
  const std::string_view shorter = deflater != nullptr ? deflater->deflate(payload) : payload;
  const bool compressed = shorter.size() < payload.size();
  if (compressed) payload = shorter;
  const std::size_t size = payload.size();
  out += compressed ? final_compressed_text : final_text;
  if (size < 126) {
    out += static_cast<char>(size);
  } else {
    const int bytes = size <= 0xffff ? 2 : 8;
    out += static_cast<char>(bytes == 2 ? 126 : 127);
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
      out += static_cast<char>(static_cast<unsigned char>(size >> static_cast<unsigned>(shift)));
  }
  out.append(payload);
}

Frames frame(std::string_view payload) {
  std::string out;
  out.reserve(payload.size() + 10);
  append_frame(out, payload);
  return std::make_shared<const std::string>(std::move(out));
}

void append_block(std::string& out, std::string_view type, std::string_view id, std::string_view json) {
  if (!id.empty()) out.append("id: ").append(id).append("\n");
  out.append("event: ").append(type).append("\n");
  while (true) {
    const std::size_t end = json.find_first_of("\r\n");
    out.append("data: ").append(json.substr(0, end)).append("\n");
    if (end == std::string_view::npos) break;
    json.remove_prefix(end + 1);
  }
  out += '\n';
}

std::string cloud_event_json(std::string_view source, std::string_view type, std::string_view id, std::string_view json,
                             const Event* event) {
  std::string out;
  out.reserve(json.size() + source.size() + id.size() + 256);
  out.append(R"({"specversion":"1.0","id":)").append(json_string(id));
  out.append(R"(,"source":)").append(json_string(source)).append(R"(,"type":"restream.)").append(type).append("\"");
  if (event != nullptr) {
    out.append(R"(,"subject":)").append(json_string(event->change.id));
    out.append(R"(,"time":")").append(rfc3339(event->time)).append("\"");
  }
  return out.append(R"(,"datacontenttype":"application/json","data":)").append(json).append("}");
}

Frames encode(Framing framing, std::string_view type, std::string_view id, std::string_view json,
              std::string_view label) {
  if (framing == Framing::websocket) return frame(json);
  if (framing == Framing::cloudevents)
    return frame(cloud_event_json(source_of(label), type, cloud_event_id(type, json), json));
  std::string out;
  if (framing == Framing::websocket_deflate) {
    Deflater deflater;
    append_frame(out, json, &deflater);
  } else {
    out.reserve(json.size() + type.size() + id.size() + 32);
    append_block(out, type, id, json);
  }
  return std::make_shared<const std::string>(std::move(out));
}

std::array<Frames, framings> encode_all(std::string_view type, std::string_view id, std::string_view json,
                                        std::string_view label) {
  std::array<Frames, framings> all;
  for (std::size_t i = 0; i < framings; ++i) all.at(i) = encode(static_cast<Framing>(i), type, id, json, label);
  return all;
}

Frames frame_events(std::string_view label, std::uint64_t epoch, std::span<const Event> events, Form form) {
  std::string out;
  std::optional<Deflater> deflater;
  if (form.framing == Framing::websocket_deflate) deflater.emplace();
  const std::string source = form.framing == Framing::cloudevents ? source_of(label) : "";
  for (const Event& event : events) {
    const std::string json = event_json(label, epoch, event, form.deliver);
    const std::string_view type = type_text(event.change.kind);
    if (form.framing == Framing::sse)
      append_block(out, type, to_text(Position{epoch, event.offset}), json);
    else if (form.framing == Framing::cloudevents)
      append_frame(out, cloud_event_json(source, type, to_text(Position{epoch, event.offset}), json, &event));
    else
      append_frame(out, json, deflater ? &*deflater : nullptr);
  }
  return std::make_shared<const std::string>(std::move(out));
}

}  // namespace restream
