// What a fetcher host, which runs a plugin's code, may write to the daemon. The first byte says how the rest is cut up.
#include "expect.hpp"
#include "wire/wire.hpp"

using namespace restream::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] + 1U;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  Decoder decoder;
  while (!rest.empty()) {
    decoder.feed(rest.substr(0, piece));
    rest.remove_prefix(std::min(piece, rest.size()));
    while (true) {
      const auto frame = decoder.next();
      if (!frame) {
        EXPECT(!frame.error().empty());
        EXPECT(!decoder.next());  // a broken stream stays broken
        return 0;
      }
      if (!*frame) break;
      Decoder second;
      second.feed(encode((*frame)->call, (*frame)->message));
      const auto again = second.next();
      EXPECT(again && *again && **again == **frame);
    }
  }
  return 0;
}
