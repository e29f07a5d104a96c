// Positions and the memory of the keystore: each has one spelling.
#include "model/position.hpp"
#include "expect.hpp"
#include "keyring/seen.hpp"

using namespace restream;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto position = parse_position(text)) EXPECT(to_text(*position) == text);
  if (const auto seen = parse_seen(text)) EXPECT(print_seen(*seen) == text);
  return 0;
}
