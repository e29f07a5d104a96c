// The client's end of the control socket: one request, lines of answer.
#pragma once

#include <expected>
#include <functional>
#include <string>

// Sends `request` (a line of JSON without its end) and calls `take` with each line of the answer, until the server
// closes. The error is a sentence that says what to do.
std::expected<void, std::string> ask(const std::string& socket_path, const std::string& request,
                                     const std::function<void(const std::string&)>& take);
