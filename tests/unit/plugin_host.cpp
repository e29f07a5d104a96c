#include "plugin_host.hpp"

#include <dlfcn.h>

#include <chrono>
#include <deque>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace plugin_test {
namespace {

std::string string(restream_text text) { return text.size == 0 ? std::string() : std::string(text.data, text.size); }
restream_text view(const std::string& text) { return {text.data(), text.size()}; }

// Everything behind restream_call::host during one call. Replies stay put until the call is over.
struct Running {
  const Responder& responder;
  std::size_t emit_limit;
  Outcome outcome;
  std::deque<Reply> replies;
  std::deque<std::vector<restream_header>> headers;
};

Running& running(const restream_call* call) { return *static_cast<Running*>(call->host); }

std::int32_t emit(const restream_call* call, const char* data, std::size_t size) {
  Running& run = running(call);
  if (run.outcome.text.size() + size > run.emit_limit) return RESTREAM_TOO_LARGE;
  run.outcome.text.append(data, size);
  return RESTREAM_OK;
}

std::int32_t http(const restream_call* call, const restream_http_request* request, restream_http_response* response) {
  Running& run = running(call);
  if (request->size != sizeof *request || response->size != sizeof *response) return RESTREAM_BAD_REQUEST;
  Request asked{string(request->method), string(request->url), {}, string(request->body)};
  for (std::uint32_t i = 0; i < request->header_count; ++i) {
    asked.headers.emplace_back(string(request->headers[i].name), string(request->headers[i].value));
  }
  run.outcome.requests.push_back(asked);
  const Reply& reply = run.replies.emplace_back(run.responder(asked));
  if (reply.code != RESTREAM_OK) {
    response->error = view(reply.error);
    return reply.code;
  }
  std::vector<restream_header>& raw = run.headers.emplace_back();
  for (const auto& [name, value] : reply.headers) raw.push_back({view(name), view(value)});
  response->status = reply.status;
  response->header_count = static_cast<std::uint32_t>(raw.size());
  response->headers = raw.data();
  response->body = view(reply.body);
  return RESTREAM_OK;
}

void log(const restream_call* call, std::int32_t, const char* data, std::size_t size) {
  running(call).outcome.log.emplace_back(data, size);
}

bool cancelled(const restream_call*) { return false; }

Outcome run(std::int32_t (*function)(const restream_call*), const std::string& request, const Responder& responder,
            std::size_t emit_limit) {
  Running state{responder, emit_limit, {}, {}, {}};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const auto deadline_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.time_since_epoch()).count();
  const restream_call call{
      sizeof(restream_call), 0, view(request), deadline_ns, &state, &emit, &http, &log, &cancelled};
  state.outcome.code = function(&call);
  return std::move(state.outcome);
}

void* symbol(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (found == nullptr) throw std::runtime_error(std::string("no symbol ") + name);
  return found;
}

}  // namespace

Plugin::Plugin(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  descriptor_ = static_cast<const restream_fetcher_descriptor*>(symbol(library, "restream_fetcher"));
  metadata_ = reinterpret_cast<Function>(symbol(library, "metadata"));
  fetch_ = reinterpret_cast<Function>(symbol(library, "fetch"));
}

Json Plugin::metadata() const {
  const Responder none = always({404, "", {}, RESTREAM_REFUSED, "metadata() has no business with HTTP"});
  const Outcome outcome = run(metadata_, R"({"call": "metadata", "config": {}})", none, 1U << 20U);
  if (outcome.code != RESTREAM_OK) throw std::runtime_error("metadata() failed");
  return outcome.json();
}

Outcome Plugin::fetch(const Json& request, const Responder& responder, std::size_t emit_limit) const {
  return run(fetch_, request.dump(), responder, emit_limit);
}

Json fetch_request(std::string_view channel, const Json& params, const Json& keys) {
  return {{"call", "fetch"}, {"channel", channel}, {"params", params}, {"keys", keys}, {"config", Json::object()}};
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Responder always(Reply reply) {
  return [reply = std::move(reply)](const Request&) { return reply; };
}

}  // namespace plugin_test
