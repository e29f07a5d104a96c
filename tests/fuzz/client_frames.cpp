// The frames of a WebSocket client: what is said of them does not depend on the pieces in which they come, and nothing
// is said that a session must not see.
#include <algorithm>
#include <string>
#include <vector>

#include "expect.hpp"
#include "serve/frame_reader.hpp"

using namespace restream;

namespace {

constexpr std::size_t limit = 4096;

struct Said {
  FrameReader::Kind kind;
  std::string bytes;
  std::uint16_t code;
  bool operator==(const Said&) const = default;
};

std::vector<Said> read(std::string_view bytes, std::size_t piece, bool deflate) {
  FrameReader reader(limit, deflate);
  std::vector<Said> said;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    std::string_view input = bytes.substr(0, piece);
    while (const auto event = reader.next(input)) {
      said.push_back({event->kind, std::string(event->bytes), event->code});
      if (event->kind == FrameReader::Kind::close || event->kind == FrameReader::Kind::fault) return said;
    }
    EXPECT(input.empty());
  }
  return said;
}

}  // namespace

// The first byte tells the size of the pieces, and whether messages may be compressed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool deflate = data[0] >= 0x80;
  const auto whole = read(bytes, std::max<std::size_t>(bytes.size(), 1), deflate);
  EXPECT(whole == read(bytes, data[0] % 0x80U + std::size_t{1}, deflate));
  for (const Said& said : whole) {
    const bool control = said.kind != FrameReader::Kind::text && said.kind != FrameReader::Kind::binary;
    EXPECT(said.bytes.size() <= (control ? 125 : limit));
    EXPECT(said.kind != FrameReader::Kind::fault ||
           ((said.code == 1002 || said.code == 1007 || said.code == 1009) && !said.bytes.empty()));
  }
  return 0;
}
