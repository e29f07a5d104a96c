// The head of an HTTP request, and the Origin in it.
#include "expect.hpp"
#include "serve/origin.hpp"
#include "serve/request.hpp"

using namespace restream;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const OriginRule rule({"https://example.com", "http://localhost:3000"});
  const auto request = parse_request({reinterpret_cast<const char*>(data), size});
  if (!request) {
    EXPECT(!request.error().empty());
    return 0;
  }
  EXPECT(request->path.starts_with('/') || request->method == "OPTIONS");
  EXPECT(request->path.find('?') == std::string::npos);
  for (const auto& [name, value] : request->headers)
    EXPECT(!name.empty() && value.find_first_of("\r\n") == std::string::npos);
  for (const bool https : {false, true}) {
    EXPECT(!rule.allows("null", request->header("host"), https));
    static_cast<void>(rule.allows(request->header("origin"), request->header("host"), https));
  }
  static_cast<void>(request->upgrade());
  return 0;
}
