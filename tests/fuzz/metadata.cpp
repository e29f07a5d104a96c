// What a plugin's metadata() may emit.
#include "expect.hpp"
#include "fetch/metadata_parser.hpp"

using namespace restream;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto metadata = parse_metadata({reinterpret_cast<const char*>(data), size});
  if (metadata) EXPECT(!metadata->name.empty() && !metadata->id_field.empty());
  if (!metadata) EXPECT(!metadata.error().empty());
  return 0;
}
