#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "channel/frame.hpp"

using namespace restream;
using nlohmann::json;

namespace {

const std::string label = channel_label(make_channel_id("nyt-top", {{"section", "books/review"}}));

Event event(ChangeKind kind, std::string item, std::string patch) {
  return {.offset = 7, .time = WallTime{}, .change = {kind, "a\"b", std::move(item), std::move(patch)}};
}

// The payloads of a buffer of server frames, by RFC 6455's own words.
std::vector<std::string> payloads(const std::string& bytes) {
  std::vector<std::string> out;
  std::size_t at = 0;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint64_t>(static_cast<unsigned char>(bytes.at(i))); };
  while (at < bytes.size()) {
    REQUIRE(byte(at) == 0x81);
    std::uint64_t size = byte(at + 1);
    REQUIRE((size & 0x80U) == 0);
    at += 2;
    const std::size_t extra = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (extra > 0) size = 0;
    for (std::size_t i = 0; i < extra; ++i) size = size * 256 + byte(at++);
    out.push_back(bytes.substr(at, size));
    REQUIRE(out.back().size() == size);
    at += size;
  }
  return out;
}

}  // namespace

TEST_CASE("a label names the fetcher and its params as they are, not percent-encoded") {
  CHECK(json::parse("{" + label + "}") == json{{"channel", "nyt-top"}, {"params", {{"section", "books/review"}}}});
}

TEST_CASE("the bytes of an item are in the message as they stand") {
  const std::string item = R"({"n": 12345678901234567890.10, "x":1e999})";
  const std::string text = event_json(label, 1, event(ChangeKind::new_item, item, ""), Deliver::both);
  CHECK(text.find(R"("item":)" + item) != std::string::npos);
}

TEST_CASE("deliver decides what an updated item holds, and changes nothing for new and removed ones") {
  const auto keys = [](ChangeKind kind, Deliver deliver) {
    const json message =
        json::parse(event_json(label, 1, event(kind, kind == ChangeKind::removed_item ? "" : "{}", "[]"), deliver));
    CHECK(message.at("position") == "0000000000000001:7");
    CHECK(message.at("id") == "a\"b");
    CHECK(message.at("time") == "1970-01-01T00:00:00.000Z");
    CHECK(message.at("type") == std::string(type_text(kind)));
    return std::pair(message.contains("item"), message.contains("patch"));
  };
  CHECK(keys(ChangeKind::updated_item, Deliver::both) == std::pair(true, true));
  CHECK(keys(ChangeKind::updated_item, Deliver::item) == std::pair(true, false));
  CHECK(keys(ChangeKind::updated_item, Deliver::patch) == std::pair(false, true));
  for (const Deliver deliver : {Deliver::both, Deliver::item, Deliver::patch}) {
    CHECK(keys(ChangeKind::new_item, deliver) == std::pair(true, false));
    CHECK(keys(ChangeKind::removed_item, deliver) == std::pair(false, false));
  }
}

TEST_CASE("a snapshot holds the items in their order and what it is given besides") {
  const std::vector<Item> items = {{"2", R"({"id":2})"}, {"1", R"({"id":1})"}};
  const json message = json::parse(snapshot_json(label, {1, 3}, items, R"(,"state":"live")"));
  CHECK(message.at("type") == "snapshot");
  CHECK(message.at("state") == "live");
  CHECK(message.at("items") == json::parse(R"([{"id":"2","item":{"id":2}},{"id":"1","item":{"id":1}}])"));
}

TEST_CASE("a status says null where there is no reason and no next poll") {
  const json live = json::parse(status_json(label, {State::live, Reason::none, "fine", WallTime{}, std::nullopt}));
  CHECK(live.at("reason").is_null());
  CHECK(live.at("next_poll").is_null());
  const json failing =
      json::parse(status_json(label, {State::failing, Reason::timeout, "late", WallTime{}, WallTime{Seconds(1)}}));
  CHECK(failing.at("state") == "failing");
  CHECK(failing.at("reason") == "timeout");
  CHECK(failing.at("next_poll") == "1970-01-01T00:00:01.000Z");
}

TEST_CASE("an error repeats the request as JSON, or as a string where it is none") {
  CHECK(json::parse(error_json("bad_request", "no", R"({"action":1})")).at("request") == json{{"action", 1}});
  CHECK(json::parse(error_json("bad_request", "no", "{oops")).at("request") == "{oops");
  CHECK(json::parse(error_json("bad_request", "no", "\xff\xfe")).at("request").is_string());
  CHECK(json::parse(error_json("bad_request", "no", std::string(5000, 'x'))).at("request") == std::string(1024, 'x'));
  // What a parser takes for JSON all by itself need not be some within a message.
  for (const std::string& odd : {std::string("\xef\xbb\xbf{}"), std::string("{}\0,\"x", 6)}) {
    const std::string error = error_json("bad_request", "no", odd);
    CHECK(error.find('\0') == std::string::npos);
    CHECK(json::parse(error).at("request") == odd);
  }
}

TEST_CASE("frames of every length carry their payload") {
  for (const std::size_t size : {0U, 1U, 125U, 126U, 127U, 65535U, 65536U, 100000U}) {
    const std::string payload(size, 'p');
    CHECK(payloads(*frame(payload)) == std::vector{payload});
  }
}

TEST_CASE("a batch is one buffer with a frame for each event") {
  const std::vector<Event> events = {event(ChangeKind::new_item, "{}", ""), event(ChangeKind::removed_item, "", "")};
  const auto texts = payloads(*frame_events(label, 1, events, {}));
  REQUIRE(texts.size() == 2);
  CHECK(json::parse(texts[0]).at("type") == "new_item");
  CHECK(json::parse(texts[1]).at("type") == "removed_item");
}

TEST_CASE("a CloudEvent says in its own words what the message in it says") {
  const std::string odd_label = channel_label(make_channel_id("news", {{"q", "a b&ü"}}));
  const std::vector<Event> events = {event(ChangeKind::updated_item, R"({"n":1.50})", "[]"),
                                     event(ChangeKind::removed_item, "", "")};
  for (const auto deliver : {Deliver::both, Deliver::patch}) {
    const Form cloud{.framing = Framing::cloudevents, .deliver = deliver};
    const Form plain{.framing = Framing::websocket, .deliver = deliver};
    const auto texts = payloads(*frame_events(odd_label, 1, events, cloud));
    const auto messages = payloads(*frame_events(odd_label, 1, events, plain));
    REQUIRE(texts.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      const json told = json::parse(texts[i]);
      const json message = json::parse(messages[i]);
      CHECK(told.at("data") == message);
      CHECK(texts[i].find("\"data\":" + messages[i]) != std::string::npos);  // to the byte
      CHECK(told.at("specversion") == "1.0");
      CHECK(told.at("type") == "restream." + message.at("type").get<std::string>());
      CHECK(told.at("id") == message.at("position"));
      CHECK(told.at("time") == message.at("time"));
      CHECK(told.at("subject") == message.at("id"));
      CHECK(told.at("source") == "/channels/news?q=a%20b%26%C3%BC");
    }
  }
  const auto status = [&odd_label](const char* text) {
    return json::parse(payloads(*encode(Framing::cloudevents, "status", {}, text, odd_label)).at(0));
  };
  CHECK(status(R"({"n":1})").at("id") == status(R"({"n":1})").at("id"));
  CHECK(status(R"({"n":1})").at("id") != status(R"({"n":2})").at("id"));
  CHECK(json::parse(payloads(*encode(Framing::cloudevents, "error", {}, "{}")).at(0)).at("source") == "/channels");
}
