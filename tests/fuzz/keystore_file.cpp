// The keystore's file format: whatever is read is printed back byte for byte, and nothing opens without the key.
#include "expect.hpp"
#include "keys/format.hpp"
#include "keys/keystore.hpp"

using namespace restream::keys;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string file(reinterpret_cast<const char*>(data), size);
  if (const auto parsed = parse_file(file)) {
    EXPECT(print_header(parsed->header) == parsed->whole_header);
    EXPECT(parsed->whole_header.size() + parsed->body.size() == file.size());
    // scrypt would take half a second of every run.
    if (std::holds_alternative<ScryptKek>(parsed->header.kek)) return 0;
  }
  MasterKey key;
  key.bytes = Secret::copy_of(std::string(32, 'k'));
  EXPECT(!unseal_store(file, "FILE", key));
  return 0;
}
