// What each path of HTTP answers. Runs on: serve.
#pragma once

#include <functional>
#include <string>

#include "serve/answer.hpp"
#include "serve/loop.hpp"
#include "serve/request.hpp"

namespace restream {

// Calls `reply` once: at once, or later on the loop's thread when core has to be asked.
void route(Loop& loop, const Request& request, const std::string& address, const std::function<void(Answer)>& reply);

// Null when the request may become a WebSocket; else what to answer instead.
std::optional<Answer> upgrade_refusal(const Loop& loop, const Request& request);

}  // namespace restream
