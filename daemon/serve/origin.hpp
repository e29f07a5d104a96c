// Which web pages may talk to us: those of our own origin, and those of listen.origins. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace restream {

class OriginRule {
 public:
  // "https://example.com", "http://localhost:3000"; "*" allows any.
  explicit OriginRule(const std::vector<std::string>& listed);

  // `origin` and `host` are the headers, `https` whether the client came by TLS; a request without an Origin is no web
  // page's and needs no question. Scheme, host and port must all be the same.
  [[nodiscard]] bool allows(std::string_view origin, std::string_view host, bool https) const;

 private:
  bool any_ = false;
  std::vector<std::string> listed_;  // in one spelling: lower case, with the port
};

}  // namespace restream
