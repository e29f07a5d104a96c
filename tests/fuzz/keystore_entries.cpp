// The JSON inside a keystore: what is read is printed and read again as the same.
#include "expect.hpp"
#include "keys/entries.hpp"

using namespace restream::keys;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto entries = parse_entries({reinterpret_cast<const char*>(data), size});
  if (!entries) {
    EXPECT(!entries.error().message.empty());
    return 0;
  }
  for (const auto& [fetcher, keys] : *entries) {
    EXPECT(valid_name(fetcher) && !keys.empty());
    for (const auto& [name, value] : keys) EXPECT(valid_name(name) && value_problem(value.view()).empty());
  }
  const Secret text = print_entries(*entries);
  const auto again = parse_entries(text.view());
  EXPECT(again && same_entries(*again, *entries));
  EXPECT(print_entries(*again).view() == text.view());
  return 0;
}
