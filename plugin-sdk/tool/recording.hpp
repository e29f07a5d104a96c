// The HTTP exchange of a fetch as a file, so that a plugin's tests need no network. Values and pure functions.
//
//   {"restream_recording": 1, "fetcher": "nyt-top", "params": {…}, "recorded": "2026-03-01T12:00:00.000Z",
//    "exchanges": [{"request": {"method", "url", "headers", "body"},
//                   "response": {"status", "headers", "body" or "body_json" or "body_base64"}}
//                  or {"request": …, "error": {"problem": "timeout", "message": "…"}}]}
//
// Key values are cut out before anything is kept: from URLs, headers, bodies and texts, also percent-encoded and in
// base64. Headers whose whole purpose is to prove who asks are left out by value, whatever they hold.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/http_client.hpp"
#include "model/channel_id.hpp"
#include "ops/redactor.hpp"

namespace restream::tool {

struct Exchange {
  HttpRequest request;  // method, url, headers and body count
  HttpResult result;
  Millis time{};  // not kept in the file
};

struct Recording {
  std::string fetcher;
  Params params;
  std::string recorded;  // RFC 3339
  std::vector<Exchange> exchanges;
};

std::string to_json(const Recording& recording);  // several lines, for people to read and mend
// The error is a sentence that names the place.
std::expected<Recording, std::string> parse_recording(std::string_view json);

// The same exchange without any key.
Exchange redacted(const Exchange& exchange, const Redactor& redactor);

// "too_large" and so on.
std::string_view problem_text(HttpProblem problem);

// Which exchange answers this request (whose secrets are cut out already), of those not marked as used: first one that
// is the same in method, URL and body, then one that differs in the query or body alone, as a time or a nonce does.
// Without any unused one, the last used one that fits.
std::optional<std::size_t> find_exchange(const Recording& recording, const std::vector<bool>& used,
                                         const HttpRequest& request);

}  // namespace restream::tool
