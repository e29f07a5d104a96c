// One call under way: what the plugin sees of it, and what it has emitted.
//
// run() on: a worker; answer() and cancel() on: main. The plugin's side is for the worker alone, except cancelled().
#pragma once

#include <restream/fetcher.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <expected>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "link.hpp"
#include "plugin.hpp"

namespace restream::host {

// Why there is no answer to a request; `why` is a literal.
struct NoAnswer {
  std::int32_t code;
  const char* why;
};

class RunningCall {
 public:
  RunningCall(Link& daemon, std::uint64_t id, wire::Call call);
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;

  [[nodiscard]] std::uint64_t id() const { return id_; }

  // Calls the function. Whatever the plugin throws ends here.
  wire::Result run(const Plugin& plugin);

  // The answer to the request under way; another request's is dropped.
  void answer(wire::HttpResponse response);

  void cancel();

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // A response as the plugin was given it. Kept until the function returns.
  struct Given {
    wire::HttpResponse response;
    std::vector<restream_header> headers;
  };

  static RunningCall& of(const restream_call* call) { return *static_cast<RunningCall*>(call->host); }

  std::int32_t emit(const char* data, std::size_t size);
  std::int32_t http(const restream_http_request& request, restream_http_response& response);
  std::expected<wire::HttpResponse, NoAnswer> exchange(wire::HttpRequest request);
  void log(std::int32_t level, std::string_view line);
  bool cancelled();

  Link& daemon_;
  std::uint64_t id_;
  wire::Call call_;
  restream_call face_{};
  SteadyTime http_deadline_;

  // The worker's.
  std::string output_;
  bool too_large_ = false;
  std::deque<Given> given_;

  std::mutex mutex_;  // for the rest
  std::condition_variable changed_;
  bool cancelled_ = false;
  bool waiting_ = false;  // for the answer to request `number_`
  std::uint32_t number_ = 0;
  std::optional<wire::HttpResponse> answer_;
};

}  // namespace restream::host
