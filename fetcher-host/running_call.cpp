#include "running_call.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace restream::host {
namespace {

// The daemon ends requests before the call's deadline. Should it not, this does, and leaves the plugin time to return.
std::chrono::steady_clock::time_point http_deadline(std::int64_t deadline_ns) {
  using namespace std::chrono;
  constexpr nanoseconds most_margin = 250ms;
  const steady_clock::time_point deadline{nanoseconds{deadline_ns}};
  const auto left = std::max(deadline - steady_clock::now(), nanoseconds{0});
  return deadline - std::min(most_margin, left / 10);
}

std::string_view view(restream_text text) {
  return text.size == 0 ? std::string_view() : std::string_view(text.data, text.size);
}
restream_text text(std::string_view view) { return {view.data(), view.size()}; }
bool is_null(restream_text text) { return text.data == nullptr && text.size != 0; }

// At most 4 KiB, without half a character at the end.
std::string_view cut(std::string_view line) {
  if (line.size() <= wire::max_log_line) return line;
  std::size_t size = wire::max_log_line;
  while (size > wire::max_log_line - 4 && (static_cast<unsigned char>(line[size]) & 0xC0U) == 0x80U) --size;
  return line.substr(0, size);
}

std::expected<wire::HttpRequest, NoAnswer> copy_request(const restream_http_request& from) {
  const auto bad = [](std::int32_t code, const char* why) { return std::unexpected(NoAnswer{code, why}); };
  if (from.size < sizeof from) return bad(RESTREAM_BAD_REQUEST, "the request's size is not set");
  if (is_null(from.method) || is_null(from.url) || is_null(from.body) ||
      (from.headers == nullptr && from.header_count != 0))
    return bad(RESTREAM_BAD_REQUEST, "a null pointer with a size that is not 0");
  if (from.url.size == 0) return bad(RESTREAM_BAD_REQUEST, "the URL is empty");
  if (from.header_count > wire::max_headers) return bad(RESTREAM_BAD_REQUEST, "too many headers");

  const std::size_t sizes[] = {from.method.size, from.url.size, from.body.size};
  if (std::any_of(std::begin(sizes), std::end(sizes), [](std::size_t size) { return size > wire::max_request; }))
    return bad(RESTREAM_TOO_LARGE, "the request is larger than 16 MiB");
  std::size_t total = from.method.size + from.url.size + from.body.size;
  for (std::uint32_t i = 0; i < from.header_count && total <= wire::max_request; ++i) {
    const restream_header& header = from.headers[i];
    if (is_null(header.name) || is_null(header.value))
      return bad(RESTREAM_BAD_REQUEST, "a null pointer with a size that is not 0");
    if (header.name.size > wire::max_request || header.value.size > wire::max_request) total = wire::max_request;
    total += header.name.size + header.value.size;
  }
  if (total > wire::max_request) return bad(RESTREAM_TOO_LARGE, "the request is larger than 16 MiB");

  wire::HttpRequest to;
  to.method = from.method.size == 0 ? "GET" : view(from.method);
  to.url = view(from.url);
  to.body = view(from.body);
  for (std::uint32_t i = 0; i < from.header_count; ++i)
    to.headers.emplace_back(view(from.headers[i].name), view(from.headers[i].value));
  return to;
}

}  // namespace

RunningCall::RunningCall(Link& daemon, std::uint64_t id, wire::Call call)
    : daemon_(daemon), id_(id), call_(std::move(call)), http_deadline_(http_deadline(call_.deadline_ns)) {
  face_.size = sizeof face_;
  face_.request = text(call_.request);
  face_.deadline_ns = call_.deadline_ns;
  face_.host = this;
  // Nothing may be thrown into a plugin that may be C. What can be thrown here is std::bad_alloc.
  face_.emit = [](const restream_call* self, const char* data, std::size_t size) -> std::int32_t {
    try {
      return of(self).emit(data, size);
    } catch (...) {
      of(self).too_large_ = true;
      return RESTREAM_TOO_LARGE;
    }
  };
  face_.http = [](const restream_call* self, const restream_http_request* request,
                  restream_http_response* response) -> std::int32_t {
    if (request == nullptr || response == nullptr || response->size < sizeof *response) return RESTREAM_BAD_REQUEST;
    try {
      return of(self).http(*request, *response);
    } catch (...) {
      response->error = text("the plugin's memory does not suffice for this request");
      return RESTREAM_TOO_LARGE;
    }
  };
  face_.log = [](const restream_call* self, std::int32_t level, const char* data, std::size_t size) {
    if (data == nullptr) return;
    try {
      of(self).log(level, std::string_view(data, size));
    } catch (...) {  // then there is one line less
    }
  };
  face_.cancelled = [](const restream_call* self) { return of(self).cancelled(); };
}

wire::Result RunningCall::run(const Plugin& plugin) {
  const PluginFunction function = call_.function == wire::Function::metadata ? plugin.metadata : plugin.fetch;
  std::int32_t code = RESTREAM_FAILED;
  try {
    code = function(&face_);
  } catch (const std::exception& error) {
    log(RESTREAM_ERROR, std::string("the plugin let an exception out: ") + error.what());
  } catch (...) {
    log(RESTREAM_ERROR, "the plugin let an exception out that is not a std::exception");
  }
  // Half a result must not pass for one, whatever the plugin made of emit's answer.
  if (too_large_) return {RESTREAM_TOO_LARGE, {}};
  return {code, std::move(output_)};
}

void RunningCall::answer(wire::HttpResponse response) {
  const std::scoped_lock lock(mutex_);
  if (!waiting_ || response.number != number_) return;
  answer_ = std::move(response);
  changed_.notify_all();
}

void RunningCall::cancel() {
  const std::scoped_lock lock(mutex_);
  cancelled_ = true;
  changed_.notify_all();
}

bool RunningCall::cancelled() {
  const std::scoped_lock lock(mutex_);
  return cancelled_;
}

std::int32_t RunningCall::emit(const char* data, std::size_t size) {
  if (size == 0) return RESTREAM_OK;
  if (data == nullptr) return RESTREAM_BAD_REQUEST;
  if (too_large_ || size > wire::max_output - output_.size()) {
    too_large_ = true;
    output_ = std::string();
    return RESTREAM_TOO_LARGE;
  }
  output_.append(data, size);
  return RESTREAM_OK;
}

void RunningCall::log(std::int32_t level, std::string_view line) {
  const auto clamped = static_cast<std::uint8_t>(std::clamp<std::int32_t>(level, RESTREAM_DEBUG, RESTREAM_ERROR));
  daemon_.send(id_, wire::Log{clamped, std::string(cut(line))});
}

std::int32_t RunningCall::http(const restream_http_request& request, restream_http_response& response) {
  const std::uint32_t size = response.size;
  response = {};
  response.size = size;

  auto copy = copy_request(request);
  auto answered = copy ? exchange(std::move(*copy)) : std::unexpected(copy.error());
  // Nothing is kept of these: a plugin that goes on asking after its time would use up its memory, and with it the host
  // of its other calls.
  if (!answered) {
    response.error = text(answered.error().why);
    return answered.error().code;
  }

  Given& given = given_.emplace_back();
  given.response = std::move(*answered);
  const wire::HttpResponse& answer = given.response;
  for (const auto& [name, value] : answer.headers) given.headers.push_back({text(name), text(value)});
  response.header_count = static_cast<std::uint32_t>(given.headers.size());
  response.status = answer.status;
  response.headers = given.headers.data();
  response.body = text(answer.body);
  response.error = text(answer.error);
  return answer.code;
}

// Sends it and waits. Requests that cannot succeed any more are not sent, so the daemon never has two of one call.
std::expected<wire::HttpResponse, NoAnswer> RunningCall::exchange(wire::HttpRequest request) {
  const auto none = [](std::int32_t code, const char* why) { return std::unexpected(NoAnswer{code, why}); };
  constexpr auto cancelled_text = "nobody waits for this call any more";
  constexpr auto timeout_text = "the time for HTTP in this call is over";

  std::unique_lock lock(mutex_);
  if (cancelled_) return none(RESTREAM_CANCELLED, cancelled_text);
  if (std::chrono::steady_clock::now() >= http_deadline_) return none(RESTREAM_TIMEOUT, timeout_text);
  if (waiting_) return none(RESTREAM_BAD_REQUEST, "this call has a request under way on another thread");
  waiting_ = true;
  request.number = ++number_;
  answer_.reset();
  lock.unlock();
  daemon_.send(id_, std::move(request));

  lock.lock();
  changed_.wait_until(lock, http_deadline_, [this] { return answer_ || cancelled_; });
  waiting_ = false;
  if (!answer_) return cancelled_ ? none(RESTREAM_CANCELLED, cancelled_text) : none(RESTREAM_TIMEOUT, timeout_text);
  return *std::exchange(answer_, std::nullopt);
}

}  // namespace restream::host
