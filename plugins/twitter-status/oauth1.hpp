// OAuth 1.0a request signing (RFC 5849) with HMAC-SHA1. Pure: the same arguments always give the same text, and
// timestamp and nonce come from the caller. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oauth1 {

struct Credentials {
  std::string consumer_key;
  std::string consumer_secret;
  std::string token;
  std::string token_secret;
};

// Names and values as they are meant, not percent-encoded. A name may come more than once.
using Parameters = std::vector<std::pair<std::string, std::string>>;

// The value of the Authorization header for a request to `url`, which has no query: the query's parameters, and those
// of a form in the body, are `parameters`. A nonce must be new for every request of one timestamp.
std::string authorization(std::string_view method, std::string_view url, const Parameters& parameters,
                          const Credentials& credentials, std::int64_t timestamp, std::string_view nonce);

// Section 3.4.1: the text that is signed. `parameters` are all of them, those of the header included. Throws
// std::invalid_argument for a URL that is not absolute, or has a query or a fragment.
std::string base_string(std::string_view method, std::string_view url, const Parameters& parameters);

// Section 3.4.2: HMAC-SHA1 of `base`, in base64.
std::string signature(std::string_view base, std::string_view consumer_secret, std::string_view token_secret);

}  // namespace oauth1
