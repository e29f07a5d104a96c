#include <catch2/catch.hpp>

#include <limits>
#include <random>
#include <stdexcept>

#include "wire/wire.hpp"

using namespace restream::wire;

namespace {

std::vector<Frame> samples() {
  const std::string binary("\0\xFF\r\n\x80", 5);
  return {
      {0, Start{"nyt-top", "/usr/lib/restream/plugins/nyt-top.so", std::numeric_limits<std::uint64_t>::max(),
                Sandbox::off}},
      {1, Call{Function::metadata, -1, "{}"}},
      {std::numeric_limits<std::uint64_t>::max(), Call{Function::fetch, 123456789012345, R"({"call": "fetch"})"}},
      {2, HttpResponse{7, 0, 200, {{"etag", "\"x\""}, {"", ""}}, binary, ""}},
      {2, HttpResponse{8, 4, 0, {}, "", "no connection"}},
      {3, Cancel{}},
      {0, Ready{1, 65535, "0.1.0"}},
      {0, Refused{"it was built for ABI 2.0, this host has 1.0"}},
      {4, Result{-2147483647 - 1, binary}},
      {4, Result{0, std::string(300'000, 'x')}},
      {5, HttpRequest{4294967295U, "GET", "https://api.example.com/", {{"accept", "*/*"}}, binary}},
      {6, Log{3, "a line"}},
  };
}

std::string bytes_of(const std::vector<Frame>& frames) {
  std::string bytes;
  for (const Frame& frame : frames) bytes += encode(frame.call, frame.message);
  return bytes;
}

// Every frame that is there; a fault ends the test.
std::vector<Frame> take_all(Decoder& decoder) {
  std::vector<Frame> frames;
  for (;;) {
    auto next = decoder.next();
    REQUIRE(next.has_value());
    if (!*next) return frames;
    frames.push_back(std::move(**next));
  }
}

std::string number(std::uint64_t value, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += i < 8 ? static_cast<char>((value >> (8 * i)) & 0xFFU) : '\0';
  return text;
}

std::string raw_frame(unsigned type, const std::string& fields) {
  return number(9 + fields.size(), 4) + number(type, 1) + number(1, 8) + fields;
}

void require_fault(const std::string& bytes) {
  Decoder decoder;
  decoder.feed(bytes);
  const auto next = decoder.next();
  REQUIRE_FALSE(next.has_value());
  CHECK_FALSE(next.error().empty());
  decoder.feed(encode(1, Cancel{}));  // nothing makes it whole again
  CHECK_FALSE(decoder.next().has_value());
}

}  // namespace

TEST_CASE("every message comes out of the decoder as it went into the encoder") {
  Decoder decoder;
  decoder.feed(bytes_of(samples()));
  CHECK(take_all(decoder) == samples());
}

TEST_CASE("the format is what its description says") {
  CHECK(encode(0x0102, Log{2, "hi"}) == std::string("\x10\0\0\0"
                                                    "\x09"
                                                    "\x02\x01\0\0\0\0\0\0"
                                                    "\x02"
                                                    "\x02\0\0\0hi",
                                                    20));
  CHECK(encode(3, Cancel{}) == std::string("\x09\0\0\0"
                                           "\x04"
                                           "\x03\0\0\0\0\0\0\0",
                                           13));
}

TEST_CASE("encoded_size says how many bytes encode makes") {
  for (const Frame& frame : samples()) CHECK(encoded_size(frame.message) == encode(frame.call, frame.message).size());
}

TEST_CASE("frames come out whole wherever the stream is cut in two") {
  auto frames = samples();
  std::erase_if(frames, [](const Frame& frame) { return encoded_size(frame.message) > 1000; });
  const std::string bytes = bytes_of(frames);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Decoder decoder;
    decoder.feed(std::string_view(bytes).substr(0, cut));
    auto got = take_all(decoder);
    decoder.feed(std::string_view(bytes).substr(cut));
    for (auto& frame : take_all(decoder)) got.push_back(std::move(frame));
    REQUIRE(got == frames);
  }
}

TEST_CASE("frames come out whole when the bytes come one at a time") {
  const auto frames = samples();
  Decoder decoder;
  std::vector<Frame> got;
  for (const char byte : bytes_of(frames)) {
    decoder.feed(std::string_view(&byte, 1));
    for (auto& frame : take_all(decoder)) got.push_back(std::move(frame));
  }
  CHECK(got == frames);
}

TEST_CASE("a frame whose length and fields disagree is a fault, at every length") {
  for (const Frame& frame : samples()) {
    const std::string bytes = encode(frame.call, frame.message);
    if (bytes.size() > 1000) continue;
    const std::string fields = bytes.substr(13);
    const unsigned type = static_cast<unsigned char>(bytes[4]);
    for (std::size_t size = 0; size < fields.size(); ++size) require_fault(raw_frame(type, fields.substr(0, size)));
    require_fault(raw_frame(type, fields + '\0'));
  }
}

TEST_CASE("lengths outside 9 bytes to 64 MiB are a fault as soon as they are read") {
  for (const std::uint64_t length : {0U, 8U, (64U << 20U) + 1, 0xFFFFFFFFU}) require_fault(number(length, 4));
  Decoder decoder;
  decoder.feed(number(max_frame, 4));
  CHECK(take_all(decoder).empty());
}

TEST_CASE("unknown types and functions are a fault") {
  for (const unsigned type : {0U, 10U, 255U}) require_fault(raw_frame(type, ""));
  for (const unsigned function : {0U, 3U, 255U})
    require_fault(raw_frame(2, number(function, 1) + number(0, 8) + number(0, 4)));
}

TEST_CASE("a count of headers that the frame has no room for allocates nothing") {
  // An HttpResponse that claims four thousand million headers.
  require_fault(raw_frame(3, number(1, 4) + number(0, 4) + number(200, 4) + number(0xFFFFFFFFU, 4) + number(0, 64)));
}

TEST_CASE("more headers than a message may have are a fault, even where they fit") {
  const auto response = [](std::size_t count) { return encode(1, HttpResponse{1, 0, 200, Headers(count), "", ""}); };
  Decoder decoder;
  decoder.feed(response(max_headers));
  CHECK(take_all(decoder).size() == 1);
  require_fault(response(max_headers + 1));
}

TEST_CASE("random bytes never do worse than a fault") {
  std::mt19937 random(20'240'301);
  const std::string good = bytes_of({samples()[3], samples()[10], samples()[11], samples()[6]});
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    for (int flips = 1 + static_cast<int>(random() % 4); flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    Decoder decoder;
    decoder.feed(bytes);
    for (auto next = decoder.next(); next && *next; next = decoder.next()) {
      // Whatever it took for a frame is one: it encodes to bytes that decode to the same.
      Decoder again;
      again.feed(encode((*next)->call, (*next)->message));
      REQUIRE(take_all(again) == std::vector<Frame>{**next});
    }
  }
}

TEST_CASE("the largest frame passes, one byte more is refused") {
  const std::string most(max_frame - 9 - 4 - 4, 'x');
  Decoder decoder;
  decoder.feed(encode(1, Result{0, most}));
  const auto next = decoder.next();
  REQUIRE((next && *next));
  CHECK(std::get<Result>((*next)->message).output.size() == most.size());
  CHECK_THROWS_AS(encode(1, Result{0, most + 'x'}), std::length_error);
}
