// Slow readers: fed from the log, judged by what they take, given the time to read why they have to go.
#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "serve_fixture.hpp"

using namespace restream;
using namespace restream::test;

namespace {

void expect_events(Client& client, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t offset = first; offset <= last; ++offset) REQUIRE(client.read_json()["position"] == at(offset));
}

}  // namespace

TEST_CASE("a slow reader falls back to the log, loses nothing and holds up nobody") {
  Rig rig([](ServerOptions& options) {
    options.threads = 1;
    options.send_queue = 64U << 10U;
  });
  rig.clock.stop();
  Client slow = rig.open(4096);
  Client fast = rig.open();
  slow.subscribe("news", R"(,"snapshot":false)");
  fast.subscribe("news", R"(,"snapshot":false)");
  constexpr std::uint64_t batches = 100;
  for (std::uint64_t i = 0; i < batches; ++i) {
    rig.core.publish("news", 5, 10000);
    expect_events(fast, i * 5 + 1, i * 5 + 5);
  }
  expect_events(slow, 1, batches * 5);
  CHECK(rig.core.reads() > 8);
  rig.core.publish("news", 1);
  expect_events(slow, batches * 5 + 1, batches * 5 + 1);
}

TEST_CASE("a long history is read in chunks, as it is taken") {
  Rig rig;
  rig.clock.stop();
  rig.core.publish("news", 3000, 10000);  // 30 MB
  Client slow = rig.open(4096);
  slow.subscribe("news", R"(,"since":")" + at(0) + '"');
  std::this_thread::sleep_for(Millis(300));
  const int early = rig.core.reads();
  CHECK(early < 60);  // of about 115: the rest waits for the reader
  expect_events(slow, 1, 3000);
  CHECK(rig.core.reads() > early);
}

TEST_CASE("one that takes no byte for ten seconds is closed with 1013 and a position") {
  Rig rig([](ServerOptions& options) { options.send_queue = 64U << 10U; });
  rig.clock.stop();
  Client slow = rig.open(4096);
  slow.subscribe("news", R"(,"snapshot":false)");
  for (int i = 0; i < 200; ++i) rig.core.publish("news", 5, 10000);
  std::this_thread::sleep_for(Millis(600));
  rig.clock.forward(Seconds(9));
  std::this_thread::sleep_for(Millis(600));
  CHECK(rig.core.attached() == 1);
  REQUIRE(rig.gives_up_after(Seconds(2)));
  // Its own close crosses ours, and is not answered once more.
  slow.frame(0x88, std::string("\x03\xe8", 2));
  std::this_thread::sleep_for(Millis(100));
  std::uint64_t offset = 0;
  Frame frame;
  while ((frame = slow.read_frame()).opcode == 1) REQUIRE(frame.json()["position"] == at(++offset));
  CHECK(frame.code() == 1013);
  CHECK(frame.reason().find(at(offset)) != std::string::npos);
  CHECK(slow.read_frame().opcode == -1);
}

TEST_CASE("one that takes a little all the time stays, however long the kernel asks for no more") {
  Rig rig([](ServerOptions& options) { options.send_queue = 64U << 10U; });
  rig.clock.stop();
  Client slow = rig.open(4096);
  Client stream = rig.client(4096);
  slow.subscribe("news", R"(,"snapshot":false)");
  stream.stream("/channels/news?_snapshot=false");
  stream.read_event();
  for (int i = 0; i < 60; ++i) rig.core.publish("news", 5, 10000);
  std::this_thread::sleep_for(Millis(300));
  std::uint64_t offset = 0;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 3; ++j) {
      REQUIRE(slow.read_json()["position"] == at(++offset));
      REQUIRE(stream.read_event().id == at(offset));
    }
    rig.clock.forward(Seconds(6));
    rig.tick();
  }
  CHECK(rig.core.attached() == 2);
  expect_events(slow, offset + 1, 300);
}

TEST_CASE("one that doesn't take the close either is hung up on") {
  Rig rig([](ServerOptions& options) { options.connections = 1; });
  Client slow = rig.open(4096);
  slow.subscribe("news", R"(,"snapshot":false)");
  for (int i = 0; i < 100; ++i) rig.core.publish("news", 5, 10000);
  std::this_thread::sleep_for(Millis(400));
  rig.clock.forward(Seconds(11));
  REQUIRE(eventually([&] { return rig.core.attached() == 0; }));
  rig.clock.forward(Seconds(11));
  CHECK(eventually([&] { return rig.client().get("/channels").status == 200; }));
}

TEST_CASE("one that takes the rest slowly is given the time to read its close") {
  Rig rig([](ServerOptions& options) { options.send_queue = 64U << 10U; });
  rig.clock.stop();
  Client slow = rig.open(4096);
  Client stream = rig.client(4096);
  slow.subscribe("news", R"(,"snapshot":false)");
  stream.stream("/channels/news?_snapshot=false");
  stream.read_event();
  for (int i = 0; i < 60; ++i) rig.core.publish("news", 5, 10000);
  std::this_thread::sleep_for(Millis(300));
  REQUIRE(rig.gives_up_after(Seconds(11)));
  std::uint64_t offset = 0;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) {
      REQUIRE(slow.read_json()["position"] == at(++offset));
      REQUIRE(stream.read_event().id == at(offset));
    }
    rig.clock.forward(Seconds(6));
    rig.tick();
  }
  std::uint64_t streamed = offset;
  Block block;
  while (!(block = stream.read_event()).ended) REQUIRE(block.id == at(++streamed));
  CHECK(stream.ended_without_reset());
  Frame frame;
  while ((frame = slow.read_frame()).opcode == 1) REQUIRE(frame.json()["position"] == at(++offset));
  CHECK(frame.code() == 1013);
  CHECK(frame.reason().find(at(offset)) != std::string::npos);
}

TEST_CASE("one that takes the rest too slowly is hung up on after a minute, and at once when the server goes") {
  const auto end_after = [](Seconds time, bool drain, Millis patience) {
    Rig rig([](ServerOptions& options) { options.send_queue = 64U << 10U; });
    rig.clock.stop();
    Client slow = rig.open(4096);
    slow.subscribe("news", R"(,"snapshot":false)");
    for (int i = 0; i < 60; ++i) rig.core.publish("news", 5, 10000);
    std::this_thread::sleep_for(Millis(300));
    if (!rig.gives_up_after(Seconds(11))) return 0;
    if (drain) {
      rig.drain(Millis(1000), [] {});
      rig.tick();
      rig.tick();
    }
    slow.read_json();
    rig.clock.forward(time);
    eventually([&] { return rig.server->totals().connections == 0; }, patience);
    Frame frame;
    while ((frame = slow.read_frame()).opcode == 1) continue;
    return frame.opcode;
  };
  auto in_time = std::async(std::launch::async, end_after, Seconds(8), false, Millis(1200));
  auto too_late = std::async(std::launch::async, end_after, Seconds(61), false, Millis(20000));
  auto in_a_hurry = std::async(std::launch::async, end_after, Seconds(4), true, Millis(20000));
  CHECK(in_time.get() == 8);
  CHECK(too_late.get() == -1);
  CHECK(in_a_hurry.get() == -1);
}

TEST_CASE("a subscriber whose position has left the log is closed with 1013 and that position") {
  Rig rig([](ServerOptions& options) { options.send_queue = 64U << 10U; });
  rig.clock.stop();
  Client slow = rig.open(4096);
  slow.subscribe("news", R"(,"snapshot":false)");
  for (int i = 0; i < 200; ++i) rig.core.publish("news", 5, 10000);
  std::this_thread::sleep_for(Millis(100));
  rig.core.forget_before("news", 1000);
  std::uint64_t offset = 0;
  Frame frame;
  while ((frame = slow.read_frame()).opcode == 1) REQUIRE(frame.json()["position"] == at(++offset));
  CHECK(frame.code() == 1013);
  CHECK(frame.reason().size() <= 123);
  CHECK(frame.reason().find(at(offset)) != std::string::npos);
  CHECK(offset < 1000);
  CHECK(eventually([&] { return rig.core.attached() == 0; }));
}

namespace {

// A client that sends `frame` for ever and reads nothing.
void check_rude_client(const std::string& frame) {
  Rig rig;
  rig.clock.stop();
  Client rude = rig.open(4096);
  rude.wait_to_send();  // so that nothing but the server ends it
  std::atomic<std::size_t> sent = 0;
  std::atomic<bool> gone = false;
  std::thread writer([&] {
    while (rude.send(frame)) ++sent;
    gone = true;
  });
  // The server stops reading, so that the client can't go on.
  CHECK(eventually(
      [&] {
        const std::size_t before = sent;
        std::this_thread::sleep_for(Millis(400));
        return sent == before;
      },
      Millis(30000)));
  CHECK_FALSE(gone);
  // Its kernel may still take a byte now and then, or the server have been slower than it seemed: each time the 10 s
  // begin anew.
  CHECK(eventually(
      [&] {
        rig.clock.forward(Seconds(6));
        std::this_thread::sleep_for(Millis(400));
        return gone.load();
      },
      Millis(60000)));
  rude.half_close();  // ends a writer that was not dropped
  writer.join();
}

}  // namespace

TEST_CASE("a client that asks and does not read is not read from for ever") {
  check_rude_client(std::string("\x89\x84\1\1\1\1aaaa", 10));  // a ping
  std::string message = R"({"action":"unsubscribe_all"})";
  for (char& c : message) c = static_cast<char>(c ^ 1);
  check_rude_client(std::string("\x81", 1) + static_cast<char>(0x80U | message.size()) + "\1\1\1\1" + message);
}
