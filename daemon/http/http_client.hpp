// HTTP for every plugin, in one place: libcurl's multi interface on a thread of its own. The only user of libcurl.
//
// Owns the http thread, the connections and the requests under way. start() and cancel() may be called from any thread,
// also from inside `done`; `done` comes on the http thread, exactly once for every start(), also at destruction (as
// `cancelled`). It must not throw, and whatever takes time belongs elsewhere: every request waits for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/clock.hpp"

namespace restream {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// Where one fetcher's requests may go; immutable once shared.
struct HttpRules {
  std::vector<std::string> origins;  // "https://api.nytimes.com", as origin_of() writes them
  // Connect here instead (config `origin:`). The request's URL, Host header and signature stay those of the API.
  std::string connect_to;  // "http://127.0.0.1:9000"; empty: where the URL says
  bool allow_private = false;
};

class HttpBudget;  // http/budget.hpp

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  HttpHeaders headers;
  std::string body;
  SteadyTime deadline;
  std::shared_ptr<const HttpRules> rules;
  std::shared_ptr<HttpBudget> budget;  // asked before each request that goes out for this one; null: nobody is
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;       // names in lower case, of the last answer when there were redirects
  std::string body;          // inflated; then `content-encoding` and `content-length` are left out of the headers
  int requests = 1;          // on the wire: redirects, and what libcurl sent again on a new connection, included
  bool revalidated = false;  // the API answered 304: this is the answer that was kept
};

enum class HttpProblem : std::uint8_t {
  bad_request,  // no URL, a method or header that cannot be sent
  refused,      // another origin, a private address, a redirect elsewhere or too many of them
  unreachable,  // no address, no connection, TLS failed, broke off
  timeout,      // the deadline passed
  too_large,    // more than the limit, inflated
  quota,        // its budget has no call left
  cancelled,
};

struct HttpError {
  HttpProblem problem{};
  std::string message;  // a sentence; holds no query, header or body
  int requests = 0;     // that reached the wire
};

using HttpResult = std::expected<HttpResponse, HttpError>;
using HttpTicket = std::uint64_t;

class HttpCache;  // http/cache.hpp

struct HttpOptions {
  std::string proxy;                     // empty: none (the environment is not asked)
  std::string ca_file;                   // empty: the system's
  std::string user_agent;                // "restream/0.1.0"
  std::size_t requests_per_origin = 64;  // further ones wait; those of other origins do not
  std::size_t body = 16U << 20U;         // bytes, inflated
  Millis connect{10'000};                // until a new connection is ready: address, TCP, proxy, TLS
  Millis first_byte{15'000};             // from a request's sending to the first byte of its answer
  std::shared_ptr<HttpCache> cache;      // for conditional requests; null: none are made
};

// For /metrics.
struct HttpLoad {
  std::size_t active = 0;   // with libcurl
  std::size_t waiting = 0;  // until their origin has room
};

class HttpClient {
 public:
  HttpClient(HttpOptions options, Clock clock);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // For requests that start from now on; the cache stays the one that was given first.
  void set_options(HttpOptions options);

  HttpTicket start(HttpRequest request, std::move_only_function<void(HttpResult)> done);
  void cancel(HttpTicket ticket);       // `done` gets `cancelled`, unless it was on its way
  [[nodiscard]] HttpLoad load() const;  // from any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "https://api.nytimes.com" of "https://API.nytimes.com:443/svc/…": lower case, default port left out. An error is a
// sentence. A `{}` in the path does no harm.
std::expected<std::string, std::string> origin_of(std::string_view url);

// Loopback, private, link-local, unique local, multicast, unspecified, documentation and other special-purpose
// addresses, and their IPv4-in-IPv6 forms. `address` is a sockaddr_in or sockaddr_in6.
bool is_private_address(const void* address);

}  // namespace restream
