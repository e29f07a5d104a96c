// What may be asked of this server and what it says, for machines: made of what the fetchers say of themselves. Pure.
#pragma once

#include <string>
#include <string_view>

namespace restream {

struct ApiContext {
  std::string_view version;  // of restream
  std::string_view host;     // as the client calls it, with its port; may be empty
  bool https = false;
};

// `catalogue`: the JSON of GET /fetchers.
std::string asyncapi_document(std::string_view catalogue, const ApiContext& context);  // AsyncAPI 3.0.0
std::string openapi_document(std::string_view catalogue, const ApiContext& context);   // OpenAPI 3.1.0

}  // namespace restream
