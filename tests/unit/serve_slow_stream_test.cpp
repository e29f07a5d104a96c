// Event streams whose readers are slow, stop or vanish.
#include <netinet/tcp.h>

#include <catch2/catch.hpp>
#include <thread>

#include "serve_fixture.hpp"

using namespace restream;
using namespace restream::test;

namespace {

void expect_events(Client& client, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t offset = first; offset <= last; ++offset) REQUIRE(client.read_event().id == at(offset));
}

}  // namespace

TEST_CASE("a slow stream is fed from the log, and others do not notice") {
  Rig rig([](ServerOptions& options) {
    options.threads = 1;
    options.send_queue = 64U << 10U;
  });
  rig.clock.stop();
  Client slow = rig.client(4096);
  Client fast = rig.client();
  slow.stream("/events?channel=news&_snapshot=false");
  fast.stream("/channels/news?_snapshot=false");
  CHECK(fast.read_event().event == "subscribed");
  CHECK(slow.read_event().event == "subscribed");
  constexpr std::uint64_t batches = 100;
  for (std::uint64_t i = 0; i < batches; ++i) {
    rig.core.publish("news", 5, 10000);
    expect_events(fast, i * 5 + 1, i * 5 + 5);
  }
  expect_events(slow, 1, batches * 5);
  CHECK(rig.core.reads() > 8);
}

TEST_CASE("streams of several channels that stall share a snapshot, and copy no more than the bound") {
  Rig rig([](ServerOptions& options) { options.send_queue = 64U << 10U; });
  rig.clock.stop();
  rig.core.append("news", 3);
  std::string block;
  append_block(block, "snapshot", at(3), R"({"type":"snapshot","items":")" + std::string(5U << 20U, 'x') + "\"}");
  rig.core.snapshot = std::make_shared<const std::string>(std::move(block));
  std::vector<Client> slow;
  for (int i = 0; i < 50; ++i) {
    slow.push_back(rig.client(4096));
    slow.back().stream("/events?channel=news&channel=other");
  }
  CHECK(eventually([&] { return rig.core.snapshot.use_count() == 51; }));
  // A batch beyond the bound is not copied for those who do not read.
  rig.core.publish("other", 20, 10000);
  std::this_thread::sleep_for(Millis(200));
  Client& one = slow.front();
  Block got;
  while (got.event != "snapshot" || got.data.size() < 1000) {
    got = one.read_event();
    REQUIRE_FALSE(got.ended);
  }
  CHECK(got.id.starts_with(at(3) + ','));
  CHECK(got.data == rig.core.snapshot->substr(rig.core.snapshot->find("data: ") + 6, got.data.size()));
  for (std::uint64_t offset = 1; offset <= 20; ++offset) CHECK(one.read_event().id == at(3) + ',' + at(offset));
  CHECK(rig.core.reads() >= 51);
  // Nor is it when nothing waits.
  Client fresh = rig.client(4096);
  fresh.stream("/events?channel=other&_snapshot=false");
  fresh.read_event();
  const int reads = rig.core.reads();
  rig.core.publish("other", 20, 10000);
  CHECK(fresh.read_event().id == at(21));
  CHECK(rig.core.reads() > reads);
}

TEST_CASE("a stream of which nothing is taken for ten seconds ends, and resumes where it was") {
  Rig rig([](ServerOptions& options) { options.send_queue = 64U << 10U; });
  rig.clock.stop();
  Client slow = rig.client(4096);
  slow.stream("/channels/news?_snapshot=false");
  CHECK(slow.read_event().event == "subscribed");
  for (int i = 0; i < 200; ++i) rig.core.publish("news", 5, 10000);
  std::this_thread::sleep_for(Millis(600));
  rig.clock.forward(Seconds(9));
  std::this_thread::sleep_for(Millis(600));
  CHECK(rig.core.attached() == 1);
  REQUIRE(rig.gives_up_after(Seconds(2)));
  std::uint64_t offset = 0;
  Block block;
  while (!(block = slow.read_event()).ended) REQUIRE(block.id == at(++offset));
  CHECK(offset < 1000);
  Client again = rig.client();
  again.stream("/channels/news", "Last-Event-ID: " + at(offset) + "\r\n");
  CHECK(again.read_event().json()["resumed"] == true);
  expect_events(again, offset + 1, 1000);
}

TEST_CASE("a stream whose position has left the log ends") {
  Rig rig([](ServerOptions& options) { options.send_queue = 64U << 10U; });
  rig.clock.stop();
  Client slow = rig.client(4096);
  slow.stream("/channels/news?_snapshot=false");
  CHECK(slow.read_event().event == "subscribed");
  for (int i = 0; i < 200; ++i) rig.core.publish("news", 5, 10000);
  std::this_thread::sleep_for(Millis(100));
  rig.core.forget_before("news", 1000);
  std::uint64_t offset = 0;
  Block block;
  while (!(block = slow.read_event()).ended) REQUIRE(block.id == at(++offset));
  CHECK(offset < 1000);
  CHECK(eventually([&] { return rig.core.attached() == 0; }));
}

// Whoever vanishes sends no FIN; the kernel says so once nothing of what was sent has been acknowledged for that long,
// and a stream without events has its heartbeats for that.
TEST_CASE("a stream whose reader acknowledges nothing for a minute is the kernel's to end") {
  Rig rig;
  Client client = rig.client();
  client.stream("/channels/news?_snapshot=false");
  CHECK(client.read_event().event == "subscribed");
  CHECK(client.server_tcp_option(TCP_USER_TIMEOUT) == 60'000);
}
