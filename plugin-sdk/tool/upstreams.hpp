// Where a plugin's requests go: to the API through the daemon's own HTTP client, or to a recording. Both remember what
// was asked and answered. Runs on: the tool's main thread (the client has a thread of its own and posts back).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/http_client.hpp"
#include "ops/redactor.hpp"
#include "tool/bench.hpp"
#include "tool/recording.hpp"

namespace restream::tool {

// A finished exchange, with its keys in it: redacted() before it is shown.
using OnExchange = std::function<void(const Exchange&)>;

class LiveUpstream {
 public:
  LiveUpstream(Bench& bench, HttpOptions options, std::shared_ptr<const HttpRules> rules, OnExchange on_exchange);
  ~LiveUpstream();
  LiveUpstream(const LiveUpstream&) = delete;
  LiveUpstream& operator=(const LiveUpstream&) = delete;

  // For one call; the time for its HTTP ends a little before the call's own, as in restreamd.
  Upstream for_call(Millis call_timeout);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Answers from a recording. The exchanges are used up in order; `redactor` cuts the keys out of requests, so that they
// are compared as they were recorded.
class Replay {
 public:
  Replay(Recording recording, Redactor redactor, OnExchange on_exchange = {});

  // For one call: goes on where the last one stopped, as a later poll does.
  Upstream next_call();
  // For one call: from the beginning, with a memory of its own, so that many such calls get the same answers.
  [[nodiscard]] Upstream same_call() const;

  [[nodiscard]] bool is_used_up() const;
  [[nodiscard]] const Recording& recording() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace restream::tool
