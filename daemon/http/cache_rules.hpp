// What may be kept of an answer, under which name, and what a 304 turns into. Pure functions; this room's own.
#pragma once

#include <string>
#include <string_view>

#include "http/http_client.hpp"
#include "model/clock.hpp"

namespace restream {

// A GET without a body whose plugin does nothing conditional itself.
bool may_be_conditional(const HttpRequest& request);

// Everything that can make one answer differ from another: URL, where it is sent, and every header of the request, so
// that credentials and whatever an answer could Vary by are in it. Left out is what differs in each request without
// making a difference: the nonce, time and signature of OAuth 1, in the Authorization header or the query, and headers
// that only number requests. To be hashed; it holds keys.
std::string cache_subject(const HttpRequest& request, std::string_view url, std::string_view wire_origin,
                          std::string_view user_agent);

// A 200 with a validator that may be kept. `now` stands in for a Date header that is not there: a Last-Modified that
// is not at least a second older than the answer proves nothing, because the thing may have changed again within it.
bool may_be_kept(const HttpResponse& response, WallTime now);

// The answer that was kept, with what the 304 says anew. What speaks of the moment (Age, Date, Retry-After, quotas)
// comes from the 304 alone.
HttpResponse replayed(const HttpHeaders& kept, const std::string& body, const HttpResponse& not_modified);

// The value of the first header of that name (in lower case), or nothing.
const std::string* find_header(const HttpHeaders& headers, std::string_view name);

}  // namespace restream
