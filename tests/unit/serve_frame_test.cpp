// The reader of client frames, without a socket: what it says of frames, whole and in pieces of every size.
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "channel/deflate.hpp"
#include "model/utf8_check.hpp"
#include "serve/frame_reader.hpp"
#include "serve/handshake.hpp"
#include "serve/request.hpp"

using namespace restream;

namespace {

struct Said {
  FrameReader::Kind kind;
  std::string bytes;
  std::uint16_t code = 0;
  bool operator==(const Said&) const = default;
};
using Kind = FrameReader::Kind;

// A frame as a client sends it; `first` holds FIN, the reserved bits and the opcode.
std::string masked(unsigned first, std::string_view payload,
                   std::array<char, 4> mask = {'\x5a', '\0', '\xff', '\x11'}) {
  std::string frame(1, static_cast<char>(first));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80U | payload.size());
  } else if (payload.size() < 0x10000) {
    frame += static_cast<char>(0x80U | 126U);
    for (const unsigned shift : {8U, 0U}) frame += static_cast<char>(payload.size() >> shift);
  } else {
    frame += static_cast<char>(0x80U | 127U);
    for (const unsigned shift : {56U, 48U, 40U, 32U, 24U, 16U, 8U, 0U})
      frame += static_cast<char>(payload.size() >> shift);
  }
  frame.append(mask.data(), mask.size());
  for (std::size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ mask.at(i % mask.size()));
  return frame;
}

// All that is said of `bytes` when they come in pieces of `piece` bytes, up to a close or a fault.
std::vector<Said> read_in_pieces(std::string_view bytes, std::size_t piece, std::size_t limit = 1000,
                                 bool deflate = false) {
  FrameReader reader(limit, deflate);
  std::vector<Said> said;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    // A copy of its own, so that a sanitizer sees whether anything is kept of it.
    const std::string copy(bytes.substr(0, piece));
    std::string_view input = copy;
    while (const auto event = reader.next(input)) {
      said.push_back({event->kind, std::string(event->bytes), event->code});
      if (event->kind == Kind::close || event->kind == Kind::fault) return said;
    }
    CHECK(input.empty());
  }
  return said;
}

std::vector<Said> read(std::string_view bytes, std::size_t limit = 1000) {
  const auto whole = read_in_pieces(bytes, bytes.size(), limit);
  for (std::size_t piece = 1; piece < std::min<std::size_t>(bytes.size(), 20); ++piece)
    CHECK(read_in_pieces(bytes, piece, limit) == whole);
  return whole;
}

std::uint16_t fault_code(std::string_view bytes, std::size_t limit = 1000) {
  const auto said = read(bytes, limit);
  if (said.empty() || said.back().kind != Kind::fault) return 0;
  CHECK_FALSE(said.back().bytes.empty());
  return said.back().code;
}

std::string close_payload(unsigned code, std::string_view reason = "") {
  std::string payload{static_cast<char>(code >> 8U), static_cast<char>(code & 0xffU)};
  return payload.append(reason);
}

}  // namespace

TEST_CASE("a message is told with its bytes unmasked, whatever pieces it comes in") {
  CHECK(read(masked(0x81, "hello")) == std::vector<Said>{{Kind::text, "hello"}});
  CHECK(read(masked(0x82, std::string("\0\xff", 2))) == std::vector<Said>{{Kind::binary, std::string("\0\xff", 2)}});
  CHECK(read(masked(0x81, "")) == std::vector<Said>{{Kind::text, ""}});
  for (const std::size_t size : {125U, 126U, 127U, 65535U, 65536U}) {
    const std::string text(size, 'x');
    CHECK(read_in_pieces(masked(0x81, text), 4096, 70000) == std::vector<Said>{{Kind::text, text}});
  }
}

TEST_CASE("a message in several frames is told once, with control frames between them told at their place") {
  const std::string bytes = masked(0x01, "ab") + masked(0x89, "p") + masked(0x00, "") + masked(0x8a, "") +
                            masked(0x80, "cd") + masked(0x81, "next");
  CHECK(read(bytes) ==
        std::vector<Said>{{Kind::ping, "p"}, {Kind::pong, ""}, {Kind::text, "abcd"}, {Kind::text, "next"}});
}

TEST_CASE("frames that break the protocol are faults with 1002") {
  CHECK(fault_code(std::string("\x81\x02{}", 4)) == 1002);
  for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U})
    CHECK(fault_code(masked(0x80U | opcode, "")) == 1002);
  for (const unsigned reserved : {0x40U, 0x20U, 0x10U}) CHECK(fault_code(masked(0x81U | reserved, "x")) == 1002);
  for (const unsigned control : {0x08U, 0x09U, 0x0aU}) CHECK(fault_code(masked(control, "")) == 1002);
  for (const unsigned control : {0x88U, 0x89U, 0x8aU})
    CHECK(fault_code(masked(control, std::string(126, 'x'))) == 1002);
  CHECK(fault_code(masked(0x80, "x")) == 1002);
  CHECK(fault_code(masked(0x01, "x") + masked(0x81, "y")) == 1002);
  CHECK(fault_code(masked(0x81, "x") + masked(0x80, "y")) == 1002);
}

TEST_CASE("a length in a longer form than it needs, or of more than 63 bits, is a fault") {
  const std::string mask("\1\1\1\1");
  CHECK(fault_code(std::string("\x81\xfe\x00\x7d", 4) + mask) == 1002);
  CHECK(fault_code(std::string("\x81\xff\0\0\0\0\0\0\xff\xff", 10) + mask) == 1002);
  CHECK(fault_code(std::string("\x81\xff\x80\0\0\0\0\0\0\0", 10) + mask) != 0);
  CHECK(fault_code(std::string("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10) + mask) == 1009);
}

TEST_CASE("a message above the limit is a fault with 1009 before its bytes have come, also in the sum of its frames") {
  CHECK(read(masked(0x81, std::string(1000, 'x'))).back().kind == Kind::text);
  CHECK(fault_code(masked(0x81, std::string(1001, 'x')).substr(0, 8)) == 1009);
  const std::string half = masked(0x01, std::string(600, 'x'));
  CHECK(fault_code(half + masked(0x80, std::string(401, 'x')).substr(0, 8)) == 1009);
  CHECK(read(half + masked(0x80, std::string(400, 'x'))).back().kind == Kind::text);
}

TEST_CASE("text that is not UTF-8 is a fault with 1007 at its first wrong byte; binary is not looked at") {
  CHECK(fault_code(masked(0x81, "\xff").substr(0, 7)) == 1007);
  CHECK(fault_code(masked(0x01, "\xe2\x82") + masked(0x80, "\x28")) == 1007);
  CHECK(fault_code(masked(0x81, "\xe2\x82")) == 1007);
  CHECK(read(masked(0x01, "\xe2\x82") + masked(0x80, "\xac")) == std::vector<Said>{{Kind::text, "\xe2\x82\xac"}});
  CHECK(read(masked(0x82, "\xff")) == std::vector<Said>{{Kind::binary, "\xff"}});
}

TEST_CASE("a close tells its code and reason; codes that nobody may send and reasons that are not text are faults") {
  CHECK(read(masked(0x88, "")) == std::vector<Said>{{Kind::close, "", 0}});
  CHECK(read(masked(0x88, close_payload(1000, "bye"))) == std::vector<Said>{{Kind::close, "bye", 1000}});
  for (const unsigned code : {1000U, 1001U, 1003U, 1007U, 1014U, 3000U, 4999U})
    CHECK(read(masked(0x88, close_payload(code))).back().kind == Kind::close);
  for (const unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 2999U, 5000U, 65535U})
    CHECK(fault_code(masked(0x88, close_payload(code))) == 1002);
  CHECK(fault_code(masked(0x88, "\x03")) == 1002);
  CHECK(fault_code(masked(0x88, close_payload(1000, "\xc3"))) == 1007);
}

TEST_CASE("UTF-8 is checked as strictly as RFC 3629 says, over all sequences of one to four bytes that begin alike") {
  const auto valid = [](std::string_view text) {
    Utf8Check check;
    return check.add(text) && check.whole();
  };
  // Every code point, and nothing else: the encoding is written out here a second time, from the code point's side.
  std::size_t wrong = 0;
  for (std::uint32_t point = 0; point <= 0x110000; ++point) {
    std::string text;
    if (point < 0x80) {
      text = {static_cast<char>(point)};
    } else if (point < 0x800) {
      text = {static_cast<char>(0xc0U | point >> 6U), static_cast<char>(0x80U | (point & 0x3fU))};
    } else if (point < 0x10000) {
      text = {static_cast<char>(0xe0U | point >> 12U), static_cast<char>(0x80U | (point >> 6U & 0x3fU)),
              static_cast<char>(0x80U | (point & 0x3fU))};
    } else {
      text = {static_cast<char>(0xf0U | point >> 18U), static_cast<char>(0x80U | (point >> 12U & 0x3fU)),
              static_cast<char>(0x80U | (point >> 6U & 0x3fU)), static_cast<char>(0x80U | (point & 0x3fU))};
    }
    const bool scalar = point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
    if (valid(text) != scalar) ++wrong;
  }
  CHECK(wrong == 0);
  for (const std::string_view text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
        "\xf5\x80\x80\x80", "\xfe", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3\x28"})
    CHECK_FALSE(valid(text));
}

TEST_CASE("a compressed message is told as what it was, where that was agreed on, and is held to the same limits") {
  Deflater deflater;
  const auto packed = [&deflater](std::string_view text) { return std::string(deflater.deflate(text)); };
  const std::string hello = packed("hello hello hello");
  const auto agreed = [](const std::string& bytes) { return read_in_pieces(bytes, 7, 1000, true); };
  CHECK(agreed(masked(0xc1, hello)) == std::vector<Said>{{Kind::text, "hello hello hello"}});
  CHECK(agreed(masked(0x41, hello.substr(0, 3)) + masked(0x89, "p") + masked(0x80, hello.substr(3))) ==
        std::vector<Said>{{Kind::ping, "p"}, {Kind::text, "hello hello hello"}});
  CHECK(agreed(masked(0xc1, hello) + masked(0x81, "plain") + masked(0xc2, packed("\xff"))) ==
        std::vector<Said>{{Kind::text, "hello hello hello"}, {Kind::text, "plain"}, {Kind::binary, "\xff"}});
  CHECK(agreed(masked(0xc1, packed(std::string(1000, 'x')))).back().kind == Kind::text);
  CHECK(agreed(masked(0xc1, packed(std::string(1001, 'x')))).back().code == 1009);
  CHECK(agreed(masked(0xc1, packed("\xff"))).back().code == 1007);
  CHECK(agreed(masked(0xc1, packed("\xe2\x82"))).back().code == 1007);
  CHECK(agreed(masked(0xc1, "\xff\xff\xff")).back().code == 1007);
  // The bit is for the first frame of a message alone.
  CHECK(agreed(masked(0x41, hello) + masked(0xc0, "")).back().code == 1002);
  CHECK(agreed(masked(0xc9, "p")).back().code == 1002);
  CHECK(agreed(masked(0xa1, hello)).back().code == 1002);
}

TEST_CASE("of the extensions that a client offers, the first permessage-deflate that we can take is accepted") {
  const auto accept = [](std::string_view offers) {
    return accept_deflate(Request{.headers = {{"sec-websocket-extensions", std::string(offers)}}}).extension;
  };
  const auto compresses = [](std::string_view offers) {
    return accept_deflate(Request{.headers = {{"sec-websocket-extensions", std::string(offers)}}}).ours;
  };
  const std::string plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  CHECK(accept("permessage-deflate") == plain);
  CHECK(accept("permessage-deflate; client_max_window_bits") == plain);
  CHECK(accept("permessage-deflate;client_max_window_bits=\"10\" ; server_no_context_takeover") == plain);
  CHECK(accept("x-webkit-deflate-frame, permessage-deflate; client_no_context_takeover") == plain);
  CHECK(accept("permessage-deflate; server_max_window_bits=15") == plain + "; server_max_window_bits=15");
  CHECK(accept("permessage-deflate; server_max_window_bits=10, permessage-deflate") == plain);
  // A smaller window than ours is agreed to, and that client is sent plain messages.
  CHECK(accept("permessage-deflate; server_max_window_bits=8") == plain + "; server_max_window_bits=8");
  CHECK_FALSE(compresses("permessage-deflate; server_max_window_bits=8"));
  CHECK(compresses("permessage-deflate; server_max_window_bits=15"));
  CHECK(compresses("permessage-deflate; server_max_window_bits=9, permessage-deflate"));
  for (const std::string_view offers :
       {"", "permessage-deflat", "permessage-deflate; server_max_window_bits=7", "permessage-deflate; what",
        "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits; client_max_window_bits", ";", ",,,"})
    CHECK(accept(offers).empty());
}

TEST_CASE("random bytes are never told differently in pieces than whole") {
  std::mt19937 random(20261123);  // NOLINT(cert-msc51-cpp,cert-msc32-c): the same bytes each time
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (auto frames = random() % 5; frames > 0; --frames) {
      static constexpr std::array<unsigned, 9> firsts{0x01, 0x02, 0x00, 0x80, 0x81, 0x82, 0x89, 0x8a, 0xc1};
      bytes += masked(firsts.at(random() % firsts.size()), std::string(random() % 40, 'a'));
    }
    if (!bytes.empty() && random() % 2 == 0) bytes[random() % bytes.size()] = static_cast<char>(random());
    read(bytes, 100);
    CHECK(read_in_pieces(bytes, 3, 100, true) == read_in_pieces(bytes, bytes.size() + 1, 100, true));
  }
}
