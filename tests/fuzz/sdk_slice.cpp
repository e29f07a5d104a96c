// The SDK's way of finding a list without parsing: where it finds one in JSON, a parser finds the same.
#include <nlohmann/json.hpp>
#include <restream/json_slice.hpp>

#include <cstdint>

#include "expect.hpp"

using nlohmann::json;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* pointer : {"", "/a", "/a/b"}) {
    const auto list = restream::detail::array_at(text, pointer);
    if (!list || !json::accept(text)) continue;
    EXPECT(json::accept(*list));
    EXPECT(json::parse(text).at(json::json_pointer(pointer)) == json::parse(*list));
  }
  return 0;
}
