// HTTP answers as values, and as bytes. Pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/clock.hpp"
#include "serve/request.hpp"

namespace restream {

struct Answer {
  int status = 200;
  std::string type = "application/json";  // of the body
  std::string body;
  std::shared_ptr<const std::string> shared;  // the body in its stead, where many may be sent the same
  std::vector<std::pair<std::string, std::string>> headers;
  bool close = false;  // the connection ends with it
};

// `{"type":"error","code":…,"message":…}`.
Answer error_answer(int status, std::string_view code, std::string_view message);

struct AnswerContext {
  std::string_view server;  // "restream/0.1.0"
  WallTime time;
  bool head = false;        // HEAD: everything but the body
  bool close = false;       // say so
  std::string_view origin;  // an Origin that may read the answer; empty: none
};
// With its body, but for one that is shared: that is to follow, where `shared_body` says so.
std::string answer_bytes(const Answer& answer, const AnswerContext& context);
std::shared_ptr<const std::string> shared_body(const Answer& answer, const AnswerContext& context);

// The head of an event stream, which lasts until the connection ends.
std::string stream_head(const AnswerContext& context);

// What an error of core is over HTTP.
Answer refusal_answer(std::string_view code, std::string_view message);

// Whether a list of If-None-Match holds the tag.
bool etag_matches(std::string_view if_none_match, std::string_view etag);

}  // namespace restream
