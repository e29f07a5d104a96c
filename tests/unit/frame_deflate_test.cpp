// Compressed messages: what goes out can be read by any inflater, what comes in is bounded.
#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "channel/deflate.hpp"
#include "channel/frame.hpp"

using namespace restream;

namespace {

std::string hello() { return {'\xf2', '\x48', '\xcd', '\xc9', '\xc9', '\x07', '\x00'}; }

}  // namespace

TEST_CASE("the examples of RFC 7692 are read, one, two and a last block alike") {
  CHECK(inflate_message(hello(), 100).message == "Hello");
  const std::string stored("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11);
  CHECK(inflate_message(stored, 100).message == "Hello");
  const std::string last("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8);
  CHECK(inflate_message(last, 100).message == "Hello");
  const std::string two("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13);
  CHECK(inflate_message(two, 100).message == "Hello");
  CHECK(inflate_message(std::string(1, '\0'), 100).message.empty());
}

TEST_CASE("what is compressed is read again, each message for itself and in any order") {
  Deflater deflater;
  std::mt19937 random(20261123);  // NOLINT(cert-msc51-cpp,cert-msc32-c): the same bytes each time
  CHECK(deflater.deflate("Hello") == hello());
  for (const std::size_t size : {0U, 1U, 100U, 4096U, 100'000U}) {
    std::string noise(size, ' ');
    for (char& c : noise) c = static_cast<char>(random());
    for (const std::string& message : {std::string(size, 'x'), noise}) {
      const std::string once(deflater.deflate(message));
      CHECK(once == deflater.deflate(message));
      const Inflated again = inflate_message(once, size);
      CHECK_FALSE(again.fault);
      CHECK(again.message == message);
    }
  }
}

TEST_CASE("a message that grows beyond the limit is given up at the limit") {
  Deflater deflater;
  const std::string bomb(deflater.deflate(std::string(50'000'000, '\0')));
  CHECK(bomb.size() < 60'000);
  CHECK(inflate_message(bomb, 65536).fault == InflateFault::too_long);
  CHECK(inflate_message(deflater.deflate(std::string(65537, 'x')), 65536).fault == InflateFault::too_long);
  CHECK_FALSE(inflate_message(deflater.deflate(std::string(65536, 'x')), 65536).fault);
}

TEST_CASE("bytes that are no compressed message are a fault, however they are cut or bent") {
  CHECK(inflate_message("\xff\xff\xff\xff", 100).fault == InflateFault::damaged);
  std::string bent = hello();
  std::size_t read_as_hello = 0;
  for (std::size_t bit = 0; bit < bent.size() * 8; ++bit) {
    bent = hello();
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ (1 << (bit % 8)));
    const Inflated inflated = inflate_message(bent, 100);
    if (!inflated.fault && inflated.message == "Hello") ++read_as_hello;
  }
  CHECK(read_as_hello < bent.size());
}

TEST_CASE("a compressed frame has the bit that says so, and a message that would grow goes as it is") {
  const std::string json = R"({"type":"status","message":")" + std::string(500, 'x') + "\"}";
  const Frames long_one = encode(Framing::websocket_deflate, "status", {}, json);
  REQUIRE(long_one->size() < 126);
  CHECK(static_cast<unsigned char>(long_one->at(0)) == 0xc1);
  CHECK(static_cast<std::size_t>(long_one->at(1)) == long_one->size() - 2);
  CHECK(inflate_message(long_one->substr(2), 1000).message == json);
  CHECK(*encode(Framing::websocket_deflate, "x", {}, "{}") == *encode(Framing::websocket, "x", {}, "{}"));
}
