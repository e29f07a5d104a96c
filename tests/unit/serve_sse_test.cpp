// Event streams: one channel, several channels, resuming, the end.
#include <catch2/catch.hpp>
#include <thread>

#include "channel/frame.hpp"
#include "serve/stream_id.hpp"
#include "serve/stream_request.hpp"
#include "serve_fixture.hpp"

using namespace restream;
using namespace restream::test;

namespace {

std::string resume(const std::string& id) { return "Last-Event-ID: " + id + "\r\n"; }

void expect_events(Client& client, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t offset = first; offset <= last; ++offset) {
    const Block block = client.read_event();
    REQUIRE(block.event == "updated_item");
    REQUIRE(block.id == at(offset));
    REQUIRE(block.json()["position"] == at(offset));
  }
}

StreamRequest parsed(const std::string& target, const std::string& headers = "") {
  const auto request = parse_request("GET " + target + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n");
  REQUIRE(request);
  auto wanted = parse_stream_request(*request, 100);
  REQUIRE(wanted);
  return *wanted;
}

std::string refusal(const std::string& target) {
  const auto request = parse_request("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
  REQUIRE(request);
  const auto wanted = parse_stream_request(*request, 3);
  REQUIRE_FALSE(wanted);
  return wanted.error().code;
}

}  // namespace

TEST_CASE("a block holds the JSON that a WebSocket frame holds, whatever line ends are in it") {
  std::string out;
  append_block(out, "new_item", "e:1", "{\"a\":\r\n1,\"b\":\r2}");
  CHECK(out == "id: e:1\nevent: new_item\ndata: {\"a\":\ndata: \ndata: 1,\"b\":\ndata: 2}\n\n");
  out.clear();
  append_block(out, "status", "", "{}");
  CHECK(out == "event: status\ndata: {}\n\n");
}

TEST_CASE("the id of a stream of several channels holds the positions of all, and comes back as them") {
  StreamId id(std::vector<std::string>(3));
  CHECK(id.text() == ",,");
  CHECK(*id.rewrite(
            1, "id: b:1\nevent: x\ndata: 1\ndata: 2\n\nevent: status\ndata: 3\n\nid: b:2\nevent: x\ndata: 4\n\n") ==
        "id: ,b:1,\nevent: x\ndata: 1\ndata: 2\n\nevent: status\ndata: 3\n\nid: ,b:2,\nevent: x\ndata: 4\n\n");
  id.rewrite(2, "id: c:7\nevent: x\ndata: 1\n\n");
  CHECK(id.text() == ",b:2,c:7");
  CHECK(StreamId::parse(id.text(), 3) == std::vector<std::string>{"", "b:2", "c:7"});
  CHECK(StreamId::parse("a:1", 1) == std::vector<std::string>{"a:1"});
  for (const char* other : {"a:1,b:2", "a:1,b:2,c:3,d:4", "", ",,,", "a:1"})
    CHECK(StreamId::parse(other, 3) == std::vector<std::string>(3));
}

TEST_CASE("the id begins with what is to be resumed, and what is no position is not said again") {
  StreamId id({at(1), "x\ndata: y", at(3)});
  CHECK(id.text() == at(1) + ",," + at(3));
  id.rewrite(0, "id: " + at(7) + "\nevent: x\ndata: 1\n\n");
  id.forget(2);
  CHECK(id.text() == at(7) + ",,");
}

TEST_CASE("a request for a stream is read, and Last-Event-ID counts more than _since") {
  const StreamRequest one = parsed("/channels/nyt-top?section=books%2Freview&_since=e:1&_deliver=item&_snapshot=false");
  REQUIRE(one.channels.size() == 1);
  CHECK(one.channels[0].fetcher == "nyt-top");
  CHECK(one.channels[0].params == Params{{"section", "books/review"}});
  CHECK(one.channels[0].since == "e:1");
  CHECK(one.delivery.deliver == Deliver::item);
  CHECK_FALSE(one.delivery.snapshot);
  CHECK_FALSE(one.several);
  CHECK(parsed("/channels/a?_since=e:1", resume("e:2")).channels[0].since == "e:2");

  const StreamRequest two = parsed("/events?channel=nyt-top%3Fsection%3Dbooks%252Freview&channel=b", resume("e:1,f:2"));
  REQUIRE(two.channels.size() == 2);
  CHECK(two.channels[0].params == Params{{"section", "books/review"}});
  CHECK(two.channels[0].since == "e:1");
  CHECK(two.channels[1].fetcher == "b");
  CHECK(two.channels[1].since == "f:2");
  CHECK(two.several);

  CHECK(refusal("/events") == "bad_request");
  CHECK(refusal("/events?channel=") == "bad_request");
  CHECK(refusal("/events?chanel=a") == "invalid_params");
  CHECK(refusal("/events?channel=a%3F_since%3Dx") == "invalid_params");
  CHECK(refusal("/events?channel=a&channel=b&channel=c&channel=d") == "too_many_subscriptions");
  CHECK(refusal("/channels/a?_deliver=all") == "invalid_params");
  CHECK(refusal("/channels/a?_snapshot=no") == "invalid_params");
  CHECK(refusal("/channels/a?_x=1") == "invalid_params");
  CHECK(refusal("/channels/%zz") == "bad_request");
}

TEST_CASE("an event stream has the head, the snapshot and the live events that it should") {
  Rig rig([](ServerOptions& options) { options.origins = {"https://app.example"}; });
  rig.core.append("news", 3);
  Client client = rig.client();
  const HttpAnswer answer = client.stream("/channels/news", "Origin: https://app.example\r\n");
  CHECK(answer.status == 200);
  CHECK(answer.header("Content-Type") == "text/event-stream");
  CHECK(answer.header("Cache-Control") == "no-store");
  CHECK(answer.header("X-Accel-Buffering") == "no");
  CHECK(answer.header("Access-Control-Allow-Origin") == "https://app.example");
  CHECK(answer.header("Vary") == "Origin");
  CHECK(client.read_block().retry == "3000");
  const Block subscribed = client.read_block();
  CHECK(subscribed.event == "subscribed");
  CHECK(subscribed.id == at(3));
  CHECK(subscribed.json()["resumed"] == false);
  // Whoever loses the stream now has nothing to resume from.
  const Block forget = client.read_block();
  CHECK(forget.has_id);
  CHECK(forget.id.empty());
  CHECK(forget.data.empty());
  const Block snapshot = client.read_block();
  CHECK(snapshot.event == "snapshot");
  CHECK(snapshot.id == at(3));
  rig.core.publish("news", 2);
  expect_events(client, 4, 5);
  rig.core.announce_status("news", "failing");
  const Block status = client.read_block();
  CHECK(status.event == "status");
  CHECK_FALSE(status.has_id);
}

TEST_CASE("an event stream resumes by Last-Event-ID or _since; a position that means nothing brings a snapshot") {
  Rig rig;
  rig.core.append("news", 10);
  Client by_header = rig.client();
  by_header.stream("/channels/news?_since=" + at(9), resume(at(4)));
  const Block subscribed = by_header.read_event();
  CHECK(subscribed.json()["resumed"] == true);
  CHECK(subscribed.id == at(4));
  expect_events(by_header, 5, 10);
  Client by_query = rig.client();
  by_query.stream("/channels/news?_since=" + at(8));
  CHECK(by_query.read_event().json()["resumed"] == true);
  expect_events(by_query, 9, 10);
  for (const std::string& odd : {at(11), to_text({.epoch = 1, .offset = 2}), std::string("garbage")}) {
    Client client = rig.client();
    client.stream("/channels/news", resume(odd));
    CHECK(client.read_event().json()["resumed"] == false);
    CHECK(client.read_event().event == "snapshot");
  }
}

TEST_CASE("streams take the options that subscribe has") {
  Rig rig;
  rig.core.append("news", 2);
  Client client = rig.client();
  client.stream("/channels/news?_snapshot=false&_deliver=patch");
  CHECK(client.read_event().id == at(2));
  rig.core.publish("news", 1);
  const auto event = client.read_event().json();
  CHECK(event.contains("patch"));
  CHECK_FALSE(event.contains("item"));
}

TEST_CASE("a stream that can't be is an error answer, and the connection stays for the next request") {
  Rig rig;
  Client client = rig.client();
  const HttpAnswer unknown = client.stream("/channels/nobody");
  CHECK(unknown.status == 404);
  CHECK(unknown.json()["code"] == "unknown_channel");
  CHECK(client.stream("/channels/a?_x=1").status == 400);
  CHECK(client.stream("/events").status == 400);
  CHECK(client.stream("/events?channel=nobody&channel=nobody%3Fx%3D1").status == 404);
  CHECK(client.stream("/channels/a", "Origin: https://evil.example\r\n").status == 403);
  CHECK(client.stream("/channels/a", "Origin: null\r\n").status == 403);
  CHECK(client.stream("/events?channel=a", "Origin: null\r\n").status == 403);
  CHECK(rig.core.attaches() == 0);
  const HttpAnswer head = client.get("/events?channel=a", "", "HEAD");
  CHECK(head.status == 405);
  CHECK(head.header("Allow") == "GET");
  CHECK(client.get("/livez").status == 200);
}

TEST_CASE("several channels share a stream, whose ids resume all of them") {
  Rig rig;
  rig.core.append("news", 2);
  rig.core.append("other", 5);
  Client client = rig.client();
  CHECK(client.stream("/events?channel=news&channel=nobody&channel=other&channel=news").status == 200);
  std::string id;
  int snapshots = 0;
  bool refused = false;
  while (snapshots < 2 || !refused) {
    const Block block = client.read_event();
    REQUIRE_FALSE(block.ended);
    if (block.event == "snapshot") ++snapshots;
    if (block.event == "error") {
      refused = true;
      CHECK(block.json()["code"] == "unknown_channel");
      CHECK(block.json()["request"]["channel"] == "nobody");
    }
    // Before the first snapshot there is nothing to resume from.
    if (snapshots == 0) CHECK_FALSE(block.has_id);
    if (block.has_id) id = block.id;
  }
  CHECK(id == at(2) + ",," + at(5) + ',');
  rig.core.publish("other", 2);
  CHECK(client.read_event().id == at(2) + ",," + at(6) + ',');
  CHECK(client.read_event().id == at(2) + ",," + at(7) + ',');
  rig.core.publish("news", 1);
  const Block last = client.read_event();
  CHECK(last.json()["channel"] == "news");
  CHECK(last.id == at(3) + ",," + at(7) + ',');

  Client again = rig.client();
  again.stream("/events?channel=news&channel=other", resume(at(2) + ',' + at(6)));
  std::vector<std::string> got;
  while (got.size() < 4) {
    const auto json = again.read_event().json();
    got.push_back(json["type"].get<std::string>() + ' ' + json["channel"].get<std::string>());
    if (json["type"] == "subscribed") CHECK(json["resumed"] == true);
  }
  std::ranges::sort(got);
  CHECK(got ==
        std::vector<std::string>{"subscribed news", "subscribed other", "updated_item news", "updated_item other"});
  // Named twice, attached twice, followed once.
  CHECK(eventually([&] { return rig.core.attached() == 4; }));
}

TEST_CASE("a channel that is refused for a moment keeps its position in the ids, one without its snapshot has none") {
  Rig rig;
  rig.core.append("news", 4);
  rig.core.append("other", 4);
  const std::string path = "/events?channel=news&channel=nobody&channel=other&channel=news";
  Client client = rig.client();
  client.stream(path, resume(at(2) + ',' + at(1) + ',' + at(9) + ',' + at(1)));
  std::string id;
  bool answered = false;  // `other`, which can't be resumed from there
  for (Block block; block.event != "snapshot"; block = client.read_event()) {
    REQUIRE_FALSE(block.ended);
    if (block.event == "subscribed") answered = answered || block.json()["channel"] == "other";
    if (block.has_id) CHECK((block.id.find(at(9)) != std::string::npos) == !answered);
    if (block.has_id) CHECK(block.id.find(at(1)) != std::string::npos);
  }
  rig.core.publish("news", 1);
  while (!id.starts_with(at(5))) {
    const Block block = client.read_event();
    REQUIRE_FALSE(block.ended);
    id = block.id;
  }
  CHECK(id == at(5) + ',' + at(1) + ',' + at(4) + ',');
}

TEST_CASE("the id of another list of channels resumes nothing") {
  Rig rig;
  rig.core.append("news", 2);
  Client client = rig.client();
  client.stream("/events?channel=news", resume(at(1) + ',' + at(1)));
  CHECK(client.read_event().json()["resumed"] == false);
}

TEST_CASE("a silent stream has a heartbeat every fifteen seconds") {
  Rig rig;
  rig.clock.stop();
  Client client = rig.client();
  client.stream("/channels/news?_snapshot=false");
  CHECK(client.read_event().event == "subscribed");
  for (int i = 0; i < 3; ++i) {
    rig.clock.forward(Seconds(15));
    CHECK(client.read_block().comment == ":");
  }
  rig.core.publish("news", 1);
  expect_events(client, 1, 1);
}

TEST_CASE("a client that ends its stream is detached, also before the stream began") {
  Rig rig;
  {
    Client client = rig.client();
    client.stream("/channels/news");
    client.send("what is this");
    CHECK(client.read_event().event == "subscribed");
    CHECK(rig.core.attached() == 1);
  }
  CHECK(eventually([&] { return rig.core.attached() == 0; }));
  rig.core.hold_attach = true;
  {
    Client client = rig.client();
    client.send("GET /events?channel=a&channel=b HTTP/1.1\r\nHost: h\r\n\r\n");
    REQUIRE(eventually([&] { return rig.core.held() == 2; }));
  }
  rig.core.release();
  CHECK(eventually([&] { return rig.core.attached() == 0; }));
  CHECK(rig.core.detaches() == 3);
}

TEST_CASE("drain ends streams one after the other, and tells readers to wait before they come back") {
  Rig rig;
  rig.clock.stop();
  std::vector<Client> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(rig.client());
    clients.back().stream("/channels/news?_snapshot=false");
    CHECK(clients.back().read_event().event == "subscribed");
  }
  rig.core.hold_attach = true;
  Client late = rig.client();
  late.send("GET /events?channel=news HTTP/1.1\r\nHost: h\r\n\r\n");
  REQUIRE(eventually([&] { return rig.core.held() == 1; }));
  std::atomic<bool> done = false;
  rig.drain(Millis(4000), [&] { done = true; });
  CHECK(rig.client().stream("/channels/news").status == 503);
  rig.core.release();
  CHECK(late.read_answer().status == 503);
  CHECK(eventually([&] { return rig.core.attached() == 10; }));
  rig.clock.forward(Seconds(2));
  CHECK(eventually([&] { return rig.core.attached() < 7; }));
  CHECK(rig.core.attached() > 2);
  rig.clock.forward(Seconds(2));
  for (Client& client : clients) {
    CHECK(client.read_block().retry == "9000");
    CHECK(client.read_block().ended);
    CHECK(client.ended_without_reset());
  }
  clients.clear();
  CHECK(eventually([&] { return done.load(); }));
  CHECK(rig.core.attached() == 0);
}
