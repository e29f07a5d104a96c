// `restream-plugin try --watch`: polls a channel and prints what a subscriber would see. Runs on: the tool's main
// thread.
#pragma once

#include <string>

#include "tool/trial.hpp"
#include "tool/try.hpp"

namespace restream::tool {

// Messages as JSON lines on standard output, requests on standard error. Until SIGINT or SIGTERM, `options.polls`, or
// the end of the recording. Returns the exit code: a fault when the last poll failed.
int watch(Trial& trial, const TryOptions& options);

// "GET https://… 200, 1,234 bytes, 12 ms", for people.
std::string exchange_text(const Exchange& exchange);

}  // namespace restream::tool
