// What each path of HTTP answers. Runs on: serve.
#pragma once

#include <functional>
#include <string>

#include "serve/admission.hpp"
#include "serve/answer.hpp"
#include "serve/loop.hpp"
#include "serve/proxies.hpp"
#include "serve/request.hpp"

namespace restream {

// Calls `reply` once: at once, or later on the loop's thread when core has to be asked.
void route(Loop& loop, const Request& request, const Way& way, const Visitor& visitor,
           const std::function<void(Answer)>& reply);

// OPTIONS of a browser that wants to know what a page of another origin may send. `allowed`: its origin.
Answer preflight_answer(bool allowed);

// POST /tickets.
Answer ticket_answer(Loop& loop, const Request& request, const Admission& admission);

// Null when the request may become a WebSocket or an event stream; else what to answer instead.
// `allowed`: it has an Origin, and that one may.
std::optional<Answer> upgrade_refusal(const Loop& loop, const Request& request, bool allowed);
std::optional<Answer> stream_refusal(const Loop& loop, const Request& request, bool allowed);

}  // namespace restream
