// How subscriptions are kept whole: straight, skipped, behind; the server's goodbye.
#include <catch2/catch.hpp>

#include "serve_fixture.hpp"

using namespace restream;
using namespace restream::test;

namespace {

void expect_events(Client& client, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t offset = first; offset <= last; ++offset) REQUIRE(client.read_json()["position"] == at(offset));
}

}  // namespace

TEST_CASE("a resumed subscriber gets the events after its position, then live ones, without a gap") {
  Rig rig;
  rig.core.append("news", 100);
  Client client = rig.open();
  const auto subscribed = client.subscribe("news", R"(,"since":")" + at(40) + '"');
  CHECK(subscribed["resumed"] == true);
  CHECK(subscribed["position"] == at(40));
  rig.core.publish("news", 5);
  expect_events(client, 41, 105);
  rig.core.publish("news", 1);
  expect_events(client, 106, 106);
}

TEST_CASE("one that resumes at the head needs no read") {
  Rig rig;
  rig.core.append("news", 10);
  Client client = rig.open();
  CHECK(client.subscribe("news", R"(,"since":")" + at(10) + '"')["resumed"] == true);
  rig.core.publish("news", 1);
  expect_events(client, 11, 11);
  CHECK(rig.core.reads() == 0);
}

TEST_CASE("batches announced while the snapshot is read are skipped when it holds them, and read when not") {
  Rig rig;
  rig.core.append("news", 3);
  Client client = rig.open();
  rig.core.hold_reads = true;
  client.subscribe("news");
  REQUIRE(eventually([&] { return rig.core.held() == 1; }));
  // The held snapshot is of offset 3: these come behind it.
  rig.core.publish("news", 2);
  rig.core.publish("news", 2);
  rig.core.hold_reads = false;
  rig.core.release();
  CHECK(client.read_json()["type"] == "snapshot");
  expect_events(client, 4, 7);
  rig.core.publish("news", 1);
  expect_events(client, 8, 8);
}

TEST_CASE("events wait for a snapshot that has not had its turn to be read") {
  Rig rig;
  rig.core.append("first", 1);
  rig.core.append("news", 1);
  Client client = rig.open();
  rig.core.hold_reads = true;
  client.subscribe("first");
  REQUIRE(eventually([&] { return rig.core.held() == 1; }));
  client.subscribe("news");
  rig.core.publish("news", 2);
  rig.core.hold_reads = false;
  rig.core.release();
  CHECK(client.read_json()["channel"] == "first");
  const auto snapshot = client.read_json();
  CHECK(snapshot["type"] == "snapshot");
  CHECK(snapshot["position"] == at(3));
  rig.core.publish("news", 1);
  expect_events(client, 4, 4);
}

TEST_CASE("a channel without events has an empty snapshot without a read, and its first items are new ones") {
  Rig rig;
  Client client = rig.open();
  rig.core.hold_reads = true;
  client.subscribe("news");
  rig.core.publish("news", 2);
  const auto snapshot = client.read_json();
  CHECK(snapshot["type"] == "snapshot");
  CHECK(snapshot["position"] == at(0));
  CHECK(snapshot["items"].empty());
  expect_events(client, 1, 2);
  CHECK(rig.core.reads() == 0);
}

TEST_CASE("a close names no position whose snapshot was not sent") {
  Rig rig;
  rig.core.append("news", 3);
  Client waiting = rig.open();
  Client both = rig.open();
  both.subscribe("other", R"(,"snapshot":false)");
  rig.core.hold_reads = true;
  waiting.subscribe("news");
  both.subscribe("news");
  rig.core.publish("news", 1);
  rig.server->drain(Millis(0), [] {});
  const Frame without = waiting.read_frame();
  CHECK(without.code() == 1001);
  CHECK(without.reason() == "the server is shutting down");
  // That of another subscription is as good as ever.
  const Frame close = both.read_frame();
  CHECK(close.code() == 1001);
  CHECK(close.reason() == "the server is shutting down; resume from " + at(0));
  rig.core.release();
}

TEST_CASE("a batch that was sent already is skipped, one that overlaps or leaves a gap is read from the log") {
  Rig rig;
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false)");
  rig.core.publish("news", 4);
  expect_events(client, 1, 4);
  CHECK(rig.core.reads() == 0);
  const Frames never = frame(R"({"never":"sent"})");
  rig.core.announce({.channel = rig.core.number("news"), .after = 2, .last = 4, .frames = {never, never, never}});
  rig.core.append("news", 2);
  rig.core.announce({.channel = rig.core.number("news"), .after = 3, .last = 6, .frames = {never, never, never}});
  expect_events(client, 5, 6);
  rig.core.append("news", 2);
  rig.core.publish("news", 2);
  expect_events(client, 7, 10);
  CHECK(rig.core.reads() == 2);
}

TEST_CASE("a batch without the form of a subscription is read from the log") {
  Rig rig;
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false)");
  rig.core.append("news", 1);
  rig.core.announce({.channel = rig.core.number("news"), .after = 0, .last = 1, .frames = {}});
  expect_events(client, 1, 1);
}

TEST_CASE("a status comes after the snapshot or the history, and in stream order while catching up") {
  Rig rig;
  rig.core.status_at_attach = "failing";
  rig.core.append("news", 3);
  Client client = rig.open();
  client.subscribe("news");
  CHECK(client.read_json()["type"] == "snapshot");
  CHECK(client.read_json()["state"] == "failing");

  Client resumed = rig.open();
  rig.core.hold_reads = true;
  resumed.subscribe("news", R"(,"since":")" + at(1) + '"');
  REQUIRE(eventually([&] { return rig.core.held() == 1; }));
  rig.core.announce_status("news", "live");
  rig.core.publish("news", 1);
  rig.core.announce_status("news", "limited");
  rig.core.hold_reads = false;
  rig.core.release();
  expect_events(resumed, 2, 3);
  CHECK(resumed.read_json()["state"] == "failing");
  CHECK(resumed.read_json()["state"] == "live");
  expect_events(resumed, 4, 4);
  CHECK(resumed.read_json()["state"] == "limited");

  Client bare = rig.open();
  bare.subscribe("news", R"(,"snapshot":false)");
  CHECK(bare.read_json()["state"] == "failing");
}

TEST_CASE("a read that fails is told once and tried again") {
  Rig rig;
  rig.core.append("news", 3);
  rig.core.reads_fail = true;
  Client client = rig.open();
  client.subscribe("news");
  const auto error = client.read_json();
  CHECK(error["code"] == "unavailable");
  CHECK(error["message"] == "the disk is on fire");
  CHECK(error["request"]["channel"] == "news");
  const int before = rig.core.reads();
  rig.clock.forward(Seconds(1));
  REQUIRE(eventually([&] { return rig.core.reads() > before; }));
  rig.core.reads_fail = false;
  rig.clock.forward(Seconds(2));
  CHECK(client.read_json()["type"] == "snapshot");
}

TEST_CASE("drain closes every WebSocket with 1001, spread over time, and answers 503 meanwhile") {
  Rig rig;
  rig.clock.stop();
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(rig.open());
  for (Client& client : clients) client.subscribe("news", R"(,"snapshot":false)");
  Client resting = rig.client();
  resting.get("/livez");
  std::atomic<bool> done = false;
  rig.drain(Millis(4000), [&] { done = true; });
  CHECK(resting.read_to_end().empty());
  CHECK(rig.client().get("/channels").status == 503);
  CHECK(rig.client().get("/readyz").status == 503);
  CHECK(rig.client().get("/livez").status == 200);
  CHECK(rig.client().upgrade() == 503);
  CHECK(rig.core.attached() == 20);
  rig.clock.forward(Seconds(2));
  CHECK(eventually([&] { return rig.core.attached() < 13; }));
  CHECK(rig.core.attached() > 6);
  rig.clock.forward(Seconds(1));
  CHECK(eventually([&] { return rig.core.attached() < 7; }));
  CHECK_FALSE(done);
  rig.clock.forward(Seconds(1));
  for (Client& client : clients) {
    const Frame close = client.read_frame();
    CHECK(close.code() == 1001);
    CHECK(close.reason().find(at(0)) != std::string::npos);
    client.frame(0x88, close.payload.substr(0, 2));
    CHECK(client.read_frame().opcode == -1);
  }
  clients.clear();
  CHECK(eventually([&] { return done.load(); }));
  CHECK(rig.core.attached() == 0);
}
