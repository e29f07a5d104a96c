// Subscribers that want the newest state of each item alone, or to be told only so often.
#include <catch2/catch.hpp>
#include <map>
#include <thread>

#include "channel/conflation.hpp"
#include "serve/message.hpp"
#include "serve/stream_request.hpp"
#include "serve_fixture.hpp"

using namespace restream;
using namespace restream::test;

namespace {

Event event(std::uint64_t offset, ChangeKind kind, const char* id) {
  return {.offset = offset, .time = {}, .change = {kind, id, std::to_string(offset), "[]"}};
}

}  // namespace

TEST_CASE("of events in a row the newest of each item is left, whole, and in the log's order") {
  using enum ChangeKind;
  Conflation conflation;
  conflation.add({event(1, updated_item, "a"), event(2, new_item, "b"), event(3, updated_item, "a")});
  conflation.add({event(4, updated_item, "b"), event(5, new_item, "c"), event(6, removed_item, "c")});
  conflation.add({event(7, removed_item, "d"), event(8, new_item, "d"), event(9, removed_item, "e")});
  std::string told;
  for (const Event& one : conflation.take()) {
    CHECK(one.change.patch.empty());
    told += std::to_string(one.offset) + one.change.id + std::string(type_text(one.change.kind)) + ' ';
  }
  CHECK(told == "3aupdated_item 4bnew_item 6cremoved_item 8dupdated_item 9eremoved_item ");
  CHECK(conflation.take().empty());
}

TEST_CASE("an interval is a duration from one second to a day") {
  CHECK(parse_interval("2s") == Seconds(2));
  CHECK(parse_interval("90") == Seconds(90));
  CHECK(parse_interval("5m") == Seconds(300));
  CHECK(parse_interval("24h") == Seconds(86400));
  for (const char* bad :
       {"", "0", "0s", "25h", "-1", "-1s", "2 s", "s", "2ss", "2ms", "1.5s", "99999999999999999999", "+2"})
    CHECK_FALSE(parse_interval(bad));
}

TEST_CASE("conflate and interval are read, and what contradicts them is refused") {
  const auto parse = [](const std::string& more) {
    return parse_message(R"({"action":"subscribe","channel":"news",)" + more + "}");
  };
  CHECK(parse(R"("conflate":true)")->delivery.form(Framing::websocket).conflated);
  CHECK(parse(R"("conflate":true)")->delivery.form(Framing::websocket).deliver == Deliver::item);
  CHECK_FALSE(parse(R"("conflate":false)")->delivery.form(Framing::websocket).conflated);
  CHECK(parse(R"("interval":"2s")")->delivery.interval == Seconds(2));
  CHECK(parse(R"("interval":"2s")")->delivery.conflated());
  for (const char* bad : {R"("conflate":"yes")", R"("interval":2)", R"("interval":"often")",
                          R"("conflate":true,"deliver":"patch")", R"("deliver":"patch","interval":"2s")"}) {
    INFO(bad);
    REQUIRE_FALSE(parse(bad));
    CHECK(parse(bad).error().code == "bad_request");
  }
  const auto stream = [](const std::string& query) {
    return parse_stream_request(*parse_request("GET /channels/news?" + query + " HTTP/1.1\r\nHost: h\r\n\r\n"), 10);
  };
  CHECK(stream("_conflate=true")->delivery.conflated());
  CHECK(stream("_interval=5m")->delivery.interval == Seconds(300));
  for (const char* bad : {"_conflate=1", "_interval=", "_interval=0", "_interval=2s&_deliver=patch"}) {
    INFO(bad);
    REQUIRE_FALSE(stream(bad));
    CHECK(stream(bad).error().code == "invalid_params");
  }
}

TEST_CASE("one that conflates and keeps up is sent every event whole, straight, without a read") {
  Rig rig;
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false,"conflate":true)");
  for (std::uint64_t offset = 1; offset <= 20; ++offset) {
    rig.core.publish("news", 1);
    const auto told = client.read_json();
    CHECK(told["position"] == at(offset));
    CHECK(told.contains("item"));
    CHECK_FALSE(told.contains("patch"));
  }
  CHECK(rig.core.reads() == 0);
}

TEST_CASE("one that conflates and is slow is sent the newest state of each item, and no state between") {
  Rig rig;
  rig.clock.stop();
  rig.core.ids = 5;
  Client slow = rig.open(4096);
  slow.subscribe("news", R"(,"snapshot":false,"conflate":true)");
  constexpr std::uint64_t all = 5000;  // 50 MB: far more than the kernel takes
  for (std::uint64_t i = 0; i < all / 5; ++i) rig.core.publish("news", 5, 10000);
  std::map<std::string, std::string> newest;
  std::uint64_t count = 0;
  std::uint64_t before = 0;
  std::string last;
  while (newest.size() < 5 || last != at(all)) {
    const auto told = slow.read_json();
    REQUIRE(told["type"] == "updated_item");
    CHECK_FALSE(told.contains("patch"));
    const auto offset = parse_position(told["position"].get<std::string>())->offset;
    REQUIRE(offset > before);
    before = offset;
    last = told["position"];
    newest[told["id"]] = last;
    ++count;
  }
  for (std::uint64_t id = 0; id < 5; ++id) CHECK(newest[std::to_string(id)] == at(id == 0 ? all : all - 5 + id));
  CHECK(count < all / 2);
  rig.core.publish("news", 1);
  CHECK(slow.read_json()["position"] == at(all + 1));
}

TEST_CASE("one with an interval is told at once, and then at most so often, of the newest state of each item") {
  Rig rig;
  rig.clock.stop();
  rig.core.ids = 2;
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false,"interval":"2s")");
  rig.core.publish("news", 2);
  CHECK(client.read_json()["position"] == at(1));
  CHECK(client.read_json()["position"] == at(2));
  // The pong comes once the server is done with that delivery, and so with its clock.
  client.frame(0x89, "");
  CHECK(client.read_frame().opcode == 10);
  for (int i = 0; i < 4; ++i) rig.core.publish("news", 2);
  rig.clock.forward(Seconds(1));
  std::this_thread::sleep_for(Millis(600));
  CHECK(rig.core.reads() == 0);  // nothing is read, and so nothing sent, before its time
  rig.clock.forward(Seconds(1));
  CHECK(client.read_json()["position"] == at(9));
  CHECK(client.read_json()["position"] == at(10));
  client.frame(0x89, "");
  CHECK(client.read_frame().opcode == 10);
  rig.core.publish("news", 1);
  std::this_thread::sleep_for(Millis(600));
  CHECK(rig.core.reads() == 1);
  rig.clock.forward(Seconds(2));
  CHECK(client.read_json()["position"] == at(11));
  client.frame(0x89, "");
  CHECK(client.read_frame().opcode == 10);
  // Rested for long: the next is told at once.
  rig.clock.forward(Seconds(5));
  rig.core.publish("news", 1);
  CHECK(client.read_json()["position"] == at(12));
  CHECK(rig.core.reads() == 2);
}

TEST_CASE("an event stream with an interval is told at most so often, and resumes without a gap") {
  Rig rig([](ServerOptions& options) { options.threads = 1; });
  rig.clock.stop();
  rig.core.ids = 2;
  rig.core.publish("news", 6);
  Client client = rig.client();
  CHECK(client.stream("/channels/news?_interval=2s&_since=" + at(0)).status == 200);
  CHECK(client.read_event().event == "subscribed");
  CHECK(client.read_event().id == at(5));
  CHECK(client.read_event().id == at(6));
  CHECK(rig.client().get("/livez").status == 200);  // so the thread is done with that delivery, and so with its clock
  rig.core.publish("news", 4);
  std::this_thread::sleep_for(Millis(400));
  CHECK(rig.core.reads() == 1);
  rig.clock.forward(Seconds(2));
  CHECK(client.read_event().id == at(9));
  CHECK(client.read_event().id == at(10));
}
