#include "tool/upstreams.hpp"

#include <algorithm>
#include <utility>

#include "fetch/plugin_http.hpp"
#include "model/clock.hpp"

namespace restream::tool {

namespace {

Millis since(SteadyTime then) { return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - then); }

}  // namespace

// --- the API itself

struct LiveUpstream::Impl {
  Bench& bench;
  std::shared_ptr<const HttpRules> rules;
  OnExchange on_exchange;
  HttpClient client;  // the first to go: what it cancels is posted, and dropped with the loop
};

LiveUpstream::LiveUpstream(Bench& bench, HttpOptions options, std::shared_ptr<const HttpRules> rules,
                           OnExchange on_exchange)
    // NOLINTNEXTLINE(modernize-make-shared): an HttpClient cannot be moved to where it would be made.
    : impl_(std::shared_ptr<Impl>(
          new Impl{bench, std::move(rules), std::move(on_exchange), HttpClient(std::move(options), real_clock())})) {}
LiveUpstream::~LiveUpstream() = default;

Upstream LiveUpstream::for_call(Millis call_timeout) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + http_part(call_timeout);
  return [weak = std::weak_ptr(impl_), deadline](const HostHttpRequest& asked, const Reply& reply) {
    const auto self = weak.lock();
    if (!self) return;
    HttpRequest request = request_of(asked);
    request.deadline = deadline;
    request.rules = self->rules;
    const SteadyTime began = std::chrono::steady_clock::now();
    auto answered = [weak, bench = &self->bench, request, reply = Reply(reply), began](HttpResult result) mutable {
      // On the http thread: everything else is on the loop.
      bench->post([weak, request = std::move(request), reply = std::move(reply), began, result = std::move(result)] {
        if (const auto alive = weak.lock(); alive && alive->on_exchange)
          alive->on_exchange({.request = request, .result = result, .time = since(began)});
        reply(response_of(result));
      });
    };
    self->client.start(request, std::move(answered));
  };
}

// --- a recording

struct Replay::Shared {
  Recording recording;
  Redactor redactor;
  OnExchange on_exchange;
  std::vector<bool> used;

  void answer(std::vector<bool>& marks, const HostHttpRequest& asked, const Reply& reply) const {
    const SteadyTime began = std::chrono::steady_clock::now();
    HttpRequest plain = request_of(asked);
    HttpRequest shown = redacted({.request = plain, .result = HttpResponse{}, .time = {}}, redactor).request;
    const auto found = find_exchange(recording, marks, shown);
    HttpResult result =
        std::unexpected(HttpError{.problem = HttpProblem::unreachable,
                                  .message = "the recording has no answer to " + shown.method + " " + shown.url,
                                  .requests = 0});
    if (found) {
      marks[*found] = true;
      result = recording.exchanges[*found].result;
    }
    if (on_exchange) on_exchange({.request = std::move(plain), .result = result, .time = since(began)});
    reply(response_of(result));
  }
};

Replay::Replay(Recording recording, Redactor redactor, OnExchange on_exchange) : shared_(std::make_shared<Shared>()) {
  shared_->used.assign(recording.exchanges.size(), false);
  shared_->recording = std::move(recording);
  shared_->redactor = std::move(redactor);
  shared_->on_exchange = std::move(on_exchange);
}

Upstream Replay::next_call() {
  return [shared = shared_](const HostHttpRequest& asked, const Reply& reply) {
    shared->answer(shared->used, asked, reply);
  };
}

Upstream Replay::same_call() const {
  auto used = std::make_shared<std::vector<bool>>(shared_->used.size(), false);
  return [shared = shared_, used](const HostHttpRequest& asked, const Reply& reply) {
    shared->answer(*used, asked, reply);
  };
}

bool Replay::is_used_up() const {
  return std::ranges::all_of(shared_->used, [](bool used) { return used; });
}

const Recording& Replay::recording() const { return shared_->recording; }

}  // namespace restream::tool
