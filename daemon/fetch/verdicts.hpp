// What a bad poll is called: from what came back to state, reason and sentence. Pure.
#pragma once

#include <string>
#include <vector>

#include "fetch/plugin.hpp"
#include "model/status.hpp"

namespace restream {

struct Failure {
  State state = State::failing;
  Reason reason = Reason::bad_result;
  std::string message;
};

// The plugin returned a status of its own: {"status_code": 404, "result": "…"}. `limited`: those that mean 429 too.
Failure failure_of_status(int status, const std::string& text, const Hints& hints, const std::vector<int>& limited);

// The plugin did not return RESTREAM_OK, did not return at all, or took its host with it.
Failure failure_of_reply(const PluginReply& reply);

}  // namespace restream
