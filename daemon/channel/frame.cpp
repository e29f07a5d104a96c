#include "channel/frame.hpp"

#include <nlohmann/json.hpp>
#include <optional>

#include "channel/deflate.hpp"

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

bool is_json(std::string_view text) { return nlohmann::json::accept(text); }

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

Frames encode(Framing framing, std::string_view type, std::string_view id, std::string_view json) {
  if (framing == Framing::websocket) return frame(json);
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

std::array<Frames, framings> encode_all(std::string_view type, std::string_view id, std::string_view json) {
  std::array<Frames, framings> all;
  for (std::size_t i = 0; i < framings; ++i) all.at(i) = encode(static_cast<Framing>(i), type, id, json);
  return all;
}

Frames frame_events(std::string_view label, std::uint64_t epoch, std::span<const Event> events, Form form) {
  std::string out;
  std::optional<Deflater> deflater;
  if (form.framing == Framing::websocket_deflate) deflater.emplace();
  for (const Event& event : events) {
    const std::string json = event_json(label, epoch, event, form.deliver);
    if (form.framing != Framing::sse)
      append_frame(out, json, deflater ? &*deflater : nullptr);
    else
      append_block(out, type_text(event.change.kind), to_text(Position{epoch, event.offset}), json);
  }
  return std::make_shared<const std::string>(std::move(out));
}

}  // namespace restream
