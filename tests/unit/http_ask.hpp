// Asking through an HttpClient and waiting for the answer, for tests.
#pragma once

#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <string>

#include "http/http_client.hpp"

namespace restream::test {

using namespace std::chrono_literals;

inline std::shared_ptr<const HttpRules> rules_for(const std::string& origin, bool allow_private = true,
                                                  const std::string& connect_to = "") {
  return std::make_shared<HttpRules>(
      HttpRules{.origins = {origin}, .connect_to = connect_to, .allow_private = allow_private});
}

inline HttpRequest get(const std::string& url, std::shared_ptr<const HttpRules> rules, Millis time = 10s) {
  HttpRequest request;
  request.url = url;
  request.deadline = std::chrono::steady_clock::now() + time;
  request.rules = std::move(rules);
  return request;
}

inline HttpRequest get(const std::string& origin, const std::string& path, Millis time = 10s) {
  return get(origin + path, rules_for(origin), time);
}

inline std::future<HttpResult> start(HttpClient& client, HttpRequest request, HttpTicket* ticket = nullptr) {
  auto promise = std::make_shared<std::promise<HttpResult>>();
  std::future<HttpResult> future = promise->get_future();
  const HttpTicket given = client.start(std::move(request), [promise](HttpResult result) {  //
    promise->set_value(std::move(result));
  });
  if (ticket != nullptr) *ticket = given;
  return future;
}

inline HttpResult ask(HttpClient& client, HttpRequest request) {
  std::future<HttpResult> future = start(client, std::move(request));
  if (future.wait_for(20s) != std::future_status::ready) FAIL("no result within 20 seconds");
  return future.get();
}

inline HttpResponse got(HttpClient& client, HttpRequest request) {
  HttpResult result = ask(client, std::move(request));
  if (!result) FAIL("expected an answer, got: " << result.error().message);
  return std::move(*result);
}

inline HttpError refused(HttpClient& client, HttpRequest request) {
  HttpResult result = ask(client, std::move(request));
  if (result) FAIL("expected a failure, got status " << result->status << ": " << result->body.substr(0, 200));
  return result.error();
}

inline Millis since(SteadyTime start) {
  return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - start);
}

// Whether it took so long. libcurl's clock counts whole milliseconds, so a deadline may end one or two early.
inline bool lasted(SteadyTime start, Millis least) { return since(start) >= least - 10ms; }

inline std::string header(const HttpResponse& response, const std::string& name) {
  for (const auto& [one, value] : response.headers)
    if (one == name) return value;
  return "(none)";
}

}  // namespace restream::test
