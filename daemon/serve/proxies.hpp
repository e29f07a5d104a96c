// Who a client is when proxies stand between. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "serve/request.hpp"

namespace restream {

// How a request reached us, as far as those can be believed who say so.
struct Way {
  std::string address;  // of the client
  bool https = false;
  std::string host;  // what the client connected to: the Host header, or what a proxy says it was
};

class Proxies {
 public:
  // Addresses and networks ("10.0.0.0/8", "fd00::/8"); what is neither is left out.
  explicit Proxies(const std::vector<std::string>& trusted);

  [[nodiscard]] bool trusts(std::string_view address) const;

  // `peer` is who connected, `https` whether by TLS. The client is the rightmost address in X-Forwarded-For that is not
  // a trusted proxy's: what stands left of it was written by somebody we know nothing of.
  [[nodiscard]] Way way(const Request& request, const std::string& peer, bool https) const;

 private:
  struct Network {
    std::string bytes;  // 4 or 16
    unsigned bits = 0;
  };
  std::vector<Network> networks_;
};

}  // namespace restream
