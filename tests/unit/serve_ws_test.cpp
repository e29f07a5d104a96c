#include <catch2/catch.hpp>
#include <thread>

#include "serve_fixture.hpp"

using namespace restream;
using namespace restream::test;

TEST_CASE("the first message is ready") {
  Rig rig;
  Client client = rig.client();
  REQUIRE(client.upgrade() == 101);
  const auto ready = client.read_json();
  CHECK(ready["type"] == "ready");
  CHECK(ready["server"] == "restream 0.1.0");
  CHECK(ready["protocol"] == 1);
}

TEST_CASE("frames sent right behind the upgrade request are not lost") {
  Rig rig;
  Client client = rig.client();
  client.send(
      "GET /channels HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
      "\x89\x84\x01\x01\x01\x01\x61\x61\x61\x61");
  CHECK(client.read_answer().status == 101);
  Frame first = client.read_frame();
  Frame second = client.read_frame();
  if (first.opcode == 10) std::swap(first, second);
  CHECK(first.json()["type"] == "ready");
  CHECK(second.opcode == 10);
  CHECK(second.payload == "````");
}

TEST_CASE("a wrong WebSocket version is refused before the upgrade") {
  Rig rig;
  Client client = rig.client();
  client.send(
      "GET /channels HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 7\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  const HttpAnswer answer = client.read_answer();
  CHECK(answer.status == 426);
  CHECK(answer.header("Upgrade") == "websocket");
  CHECK(answer.header("Sec-WebSocket-Version") == "13");
}

TEST_CASE("a subscriber gets its snapshot, then live events") {
  Rig rig;
  rig.core.append("news", 3);
  Client client = rig.open();
  const auto subscribed = client.subscribe("news", R"(,"params":{})");
  CHECK(subscribed["type"] == "subscribed");
  CHECK(subscribed["channel"] == "news");
  CHECK(subscribed["position"] == at(3));
  CHECK(subscribed["resumed"] == false);
  const auto snapshot = client.read_json();
  CHECK(snapshot["type"] == "snapshot");
  CHECK(snapshot["position"] == at(3));
  rig.core.publish("news", 2);
  CHECK(client.read_json()["position"] == at(4));
  CHECK(client.read_json()["position"] == at(5));
  CHECK(rig.core.reads() == 1);
  CHECK(rig.core.last_address == "127.0.0.1");
}

TEST_CASE("without a snapshot live events start at the head, in the form that was asked for") {
  Rig rig;
  rig.core.append("news", 3);
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false,"deliver":"patch")");
  rig.core.publish("news", 1);
  const auto event = client.read_json();
  CHECK(event["position"] == at(4));
  CHECK(event.contains("patch"));
  CHECK_FALSE(event.contains("item"));
}

TEST_CASE("errors name the code and the request, and leave the connection open") {
  Rig rig([](ServerOptions& options) { options.subscriptions_per_connection = 1; });
  Client client = rig.open();
  const auto error = [&](const char* text) {
    client.text(text);
    const auto message = client.read_json();
    CHECK(message["type"] == "error");
    return message;
  };
  const auto bad = error(R"({"action":"subscribe","channel":7})");
  CHECK(bad["code"] == "bad_request");
  CHECK(bad["request"]["channel"] == 7);
  CHECK(error("{")["request"] == "{");
  CHECK(error(R"({"action":"fly"})")["code"] == "unknown_action");
  CHECK(error(R"({"action":"subscribe","channel":"nobody"})")["code"] == "unknown_channel");
  CHECK(error(R"({"action":"unsubscribe","channel":"nobody"})")["code"] == "unknown_channel");
  CHECK(error(R"({"action":"unsubscribe","channel":"news"})")["code"] == "not_subscribed");
  CHECK(error(R"({"action":"subscribe","channel":"news","params":{"x":null}})")["code"] == "invalid_params");
  client.frame(0x82, "{}");
  const auto binary = client.read_json();
  CHECK(binary["code"] == "bad_request");
  CHECK(binary["message"].get<std::string>().find("text frame") != std::string::npos);
  client.subscribe("news", R"(,"snapshot":false)");
  const auto limit = error(R"({"action":"subscribe","channel":"other"})");
  CHECK(limit["code"] == "too_many_subscriptions");
  CHECK(rig.core.attached() == 1);
  CHECK(client.subscribe("news")["type"] == "subscribed");
  rig.core.publish("news", 1);
  CHECK(client.read_json()["position"] == at(1));
}

TEST_CASE("the tenth request in a row that can't be understood closes with 1008") {
  Rig rig;
  Client client = rig.open();
  for (int i = 0; i < 9; ++i) client.text(i % 2 == 0 ? "{" : R"({"action":"fly"})");
  client.text(R"({"action":"unsubscribe_all"})");
  for (int i = 0; i < 10; ++i) client.text("[]");
  for (int i = 0; i < 9; ++i) CHECK(client.read_json()["type"] == "error");
  CHECK(client.read_json()["type"] == "unsubscribed_all");
  for (int i = 0; i < 10; ++i) CHECK(client.read_json()["code"] == "bad_request");
  const Frame close = client.read_frame();
  CHECK(close.code() == 1008);
  CHECK(client.read_frame().opcode == -1);
  CHECK(client.ended_without_reset());
}

TEST_CASE("subscribing twice is acknowledged twice and delivered once") {
  Rig rig;
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false)");
  rig.core.publish("news", 1);
  CHECK(client.read_json()["position"] == at(1));
  const auto again = client.subscribe("news", R"(,"deliver":"item","since":")" + at(0) + '"');
  CHECK(again["type"] == "subscribed");
  CHECK(again["position"] == at(1));
  CHECK(again["resumed"] == false);
  rig.core.publish("news", 1);
  const auto event = client.read_json();
  CHECK(event["position"] == at(2));
  CHECK(event.contains("patch"));
  CHECK(rig.core.attaches() == 2);
  CHECK(eventually([&] { return rig.core.attached() == 1; }));
  client.text(R"({"action":"unsubscribe","channel":"news"})");
  CHECK(client.read_json()["type"] == "unsubscribed");
  CHECK(rig.core.attached() == 0);
  CHECK(rig.core.detaches() == 2);
}

TEST_CASE("after unsubscribed there are no more events of the channel") {
  Rig rig;
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false)");
  client.subscribe("other", R"(,"snapshot":false)");
  client.text(R"({"action":"unsubscribe","channel":"news"})");
  const auto unsubscribed = client.read_json();
  CHECK(unsubscribed["type"] == "unsubscribed");
  CHECK(unsubscribed["channel"] == "news");
  rig.core.publish("news", 1);
  rig.core.publish("other", 1);
  CHECK(client.read_json()["channel"] == "other");
}

TEST_CASE("a channel can be left when its fetcher is disabled by now, or takes other params") {
  Rig rig;
  Client client = rig.open();
  for (const char* section : {"home", "world"})
    client.subscribe("news", R"(,"snapshot":false,"params":{"lang":"en","section":")" + std::string(section) + "\"}");
  rig.core.resolves_fail = true;
  const auto leave = [&client](const std::string& more) {
    client.text(R"({"action":"unsubscribe","channel":"news")" + more + "}");
    return client.read_json();
  };
  // Which of the two?
  CHECK(leave("")["code"] == "unavailable");
  CHECK(leave(R"(,"params":{"section":"sports"})")["code"] == "unavailable");
  const nlohmann::json left = leave(R"(,"params":{"section":"world"})");
  CHECK(left["type"] == "unsubscribed");
  CHECK(left["params"]["section"] == "world");
  CHECK(leave("")["params"]["section"] == "home");
  CHECK(leave("")["code"] == "unavailable");
  CHECK(eventually([&] { return rig.core.attached() == 0; }));
}

TEST_CASE("unsubscribe_all waits for earlier requests, and answers each in order") {
  Rig rig;
  Client client = rig.open();
  rig.core.hold_attach = true;
  client.text(R"({"action":"subscribe","channel":"a","snapshot":false})");
  client.text(R"({"action":"subscribe","channel":"b","snapshot":false})");
  client.text(R"({"action":"unsubscribe-all"})");
  REQUIRE(eventually([&] { return rig.core.held() == 1; }));
  rig.core.hold_attach = false;
  rig.core.release();
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"subscribed", "a"}, {"subscribed", "b"}, {"unsubscribed", "a"}, {"unsubscribed", "b"}};
  for (const auto& [type, channel] : expected) {
    const auto message = client.read_json();
    CHECK(message["type"] == type);
    CHECK(message["channel"] == channel);
  }
  const auto all = client.read_json();
  CHECK(all["type"] == "unsubscribed_all");
  CHECK(all["count"] == 2);
  CHECK(rig.core.attached() == 0);
}

TEST_CASE("every attach is detached exactly once, also one that is under way when the client leaves") {
  Rig rig;
  {
    Client client = rig.open();
    client.subscribe("a", R"(,"snapshot":false)");
    client.subscribe("b");
    client.read_frame();
    rig.core.hold_attach = true;
    client.text(R"({"action":"subscribe","channel":"c"})");
    REQUIRE(eventually([&] { return rig.core.attaches() == 3; }));
    rig.core.publish("a", 20, 1U << 20U);  // so that the server notices that the client has gone
  }
  CHECK(eventually([&] { return rig.core.attached() == 1; }));
  rig.core.release();
  CHECK(eventually([&] { return rig.core.attached() == 0; }));
  CHECK(rig.core.detaches() == 3);
}

TEST_CASE("the server's end detaches what is attached") {
  FakeCore core;
  std::optional<Client> client;
  {
    ServerOptions options;
    options.port = 0;
    Server server(options, real_clock(), Log::none());
    core.serve_on(server.threads());
    REQUIRE(server.start(core.feed()));
    client.emplace(server.port());
    client->open();
    client->subscribe("news");
    core.hold_attach = true;
    client->text(R"({"action":"subscribe","channel":"late"})");
    REQUIRE(eventually([&] { return core.attaches() == 2; }));
  }
  CHECK(core.attached() == 1);
  core.release();  // a reply, an announcement after the end: harmless
  core.publish("news", 1);
}

namespace {

// Sends bytes and expects a close with this code, then the end without a reset.
void check_close(const std::function<void(Client&)>& send, int code) {
  Rig rig;
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false)");
  send(client);
  const Frame close = client.read_frame();
  CHECK(close.opcode == 8);
  CHECK(close.code() == code);
  rig.core.publish("news", 5);
  CHECK(client.read_frame().opcode == -1);
  CHECK(client.ended_without_reset());
  CHECK(eventually([&] { return rig.core.attached() == 0; }));
}

}  // namespace

TEST_CASE("broken frames close with 1002") {
  check_close([](Client& client) { client.send(std::string("\x81\x02{}", 4)); }, 1002);  // not masked
  check_close([](Client& client) { client.frame(0x83, "x"); }, 1002);                    // reserved opcode
  check_close([](Client& client) { client.frame(0xc1, "x"); }, 1002);                    // RSV1
  check_close([](Client& client) { client.frame(0x89, std::string(126, 'x')); }, 1002);  // oversized ping
  check_close([](Client& client) { client.frame(0x09, "x"); }, 1002);                    // fragmented ping
  check_close([](Client& client) { client.frame(0x80, "x"); }, 1002);                    // nothing to continue
}

TEST_CASE("bad UTF-8 closes with 1007, too long a message with 1009") {
  check_close([](Client& client) { client.text("\xff\xfe"); }, 1007);
  check_close([](Client& client) { client.text(std::string((64U << 10U) + 1, ' ')); }, 1009);
  check_close([](Client& client) { client.send(std::string("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\1\1\1\1", 14)); },
              1009);
  check_close([](Client& client) { client.send(std::string("\x81\xff\x80\0\0\0\0\0\0\0\1\1\1\1", 14)); }, 1009);
}

TEST_CASE("a client's close is answered with its code, and nothing follows the answer") {
  check_close([](Client& client) { client.frame(0x88, std::string("\x03\xe8", 2)); }, 1000);
  check_close([](Client& client) { client.frame(0x88, std::string("\x0f\xa1", 2)); }, 4001);
}

TEST_CASE("nothing follows a close frame, however many events come at that moment") {
  Rig rig;
  std::atomic<bool> stop = false;
  std::thread publisher([&] {
    while (!stop) rig.core.publish("news", 1);
  });
  int followed = 0;
  for (int i = 0; i < 200; ++i) {
    Client client = rig.open();
    client.subscribe("news", R"(,"snapshot":false)");
    if (i % 2 == 0)
      client.frame(0x88, std::string("\x03\xe8", 2));
    else
      client.frame(0x83, "x");
    while (client.read_frame().opcode == 1) {
    }
    if (client.read_frame().opcode != -1) ++followed;
  }
  stop = true;
  publisher.join();
  CHECK(followed == 0);
}

TEST_CASE("pings are answered, between events, whole") {
  Rig rig;
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false)");
  for (int i = 0; i < 50; ++i) {
    client.frame(0x89, std::to_string(i));
    rig.core.publish("news", 3, 5000);
  }
  int pongs = 0;
  int events = 0;
  while (pongs < 50 || events < 150) {
    const Frame frame = client.read_frame();
    if (frame.opcode == 10)
      CHECK(frame.payload == std::to_string(pongs++));
    else
      CHECK(frame.json()["position"] == at(static_cast<std::uint64_t>(++events)));
  }
}

TEST_CASE("a silent client is pinged, and given up when it stays silent") {
  Rig rig;
  Client client = rig.open();
  rig.clock.forward(Seconds(31));
  CHECK(client.read_frame().opcode == 9);
  client.frame(0x8a, "");
  client.frame(0x89, "");
  CHECK(client.read_frame().opcode == 10);  // so it has read the pong before this
  rig.clock.forward(Seconds(31));
  CHECK(client.read_frame().opcode == 9);
  rig.clock.forward(Seconds(31));
  CHECK(client.read_frame().opcode == -1);
}
