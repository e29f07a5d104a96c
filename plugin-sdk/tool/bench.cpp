#include "tool/bench.hpp"

#include <restream/fetcher.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <unordered_map>
#include <utility>

namespace restream::tool {

namespace asio = boost::asio;

namespace {

constexpr Millis lines_on_their_way{50};
constexpr Millis end_on_its_way{5000};
constexpr Millis longest_wait{100};  // a signal does not end the loop's own wait
constexpr std::size_t most_lines = 10'000;

}  // namespace

struct Bench::Impl {
  struct Call {
    std::uint64_t number = 0;
    SteadyTime began;
    Upstream upstream;
    std::optional<BenchResult> result;
    std::vector<HostHttpRequest> asked;
  };

  explicit Impl(HostOptions options) {
    HostCallbacks callbacks;
    callbacks.ready = [this](HostReady with) { ready = std::move(with); };
    callbacks.ended = [this](HostEnd how) { end = std::move(how); };
    callbacks.http = [this](CallNumber number, HostHttpRequest request, const Reply& reply) {
      on_http(number, std::move(request), reply);
    };
    callbacks.log = [this](LogSource source, int level, CallNumber, std::string text) {
      if (lines.size() < most_lines) lines.push_back({source, level, std::move(text)});
    };
    host = std::make_unique<HostProcess>(io, real_clock(), std::move(options), std::move(callbacks));
  }

  void on_http(CallNumber number, HostHttpRequest request, const Reply& reply) {
    const auto found = numbers.find(number);
    if (found == numbers.end()) return;
    Call& call = calls[found->second];
    call.asked.push_back(std::move(request));
    if (call.upstream) return call.upstream(call.asked.back(), reply);
    reply({.code = RESTREAM_REFUSED, .status = 0, .headers = {}, .body = {}, .error = "metadata() has no HTTP"});
  }

  asio::io_context io{1};
  std::optional<HostReady> ready;
  std::optional<HostEnd> end;
  std::vector<BenchLine> lines;
  std::deque<Call> calls;  // in the order they began; never taken out, so a handle stays good
  std::unordered_map<CallNumber, std::size_t> numbers;
  std::unique_ptr<HostProcess> host;  // the first to go
};

Bench::Bench(HostOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Bench::~Bench() {
  impl_->host.reset();
  impl_->io.restart();
  impl_->io.poll();  // what waits in the loop may hold on to the call that asked
}

std::expected<HostReady, HostEnd> Bench::start() {
  if (auto started = impl_->host->start(); !started)
    return std::unexpected(HostEnd{.refused = false, .timed_out = false, .reason = started.error(), .last_line = {}});
  while (!impl_->ready && !impl_->end) run_until([this] { return impl_->ready || impl_->end; }, Seconds(60));
  if (impl_->ready) return *impl_->ready;
  return std::unexpected(*impl_->end);
}

Bench::Handle Bench::begin(HostFunction function, std::string request, Millis timeout, Upstream upstream) {
  const Handle handle = impl_->calls.size();
  Impl::Call& call = impl_->calls.emplace_back();
  call.began = std::chrono::steady_clock::now();
  call.upstream = std::move(upstream);
  call.number = impl_->host->call(function, std::move(request), call.began + timeout, [this, handle](CallResult end) {
    Impl::Call& ended = impl_->calls[handle];
    const auto time =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - ended.began);
    ended.result = BenchResult{.kind = end.kind,
                               .code = end.code,
                               .output = std::move(end.output),
                               .asked = std::move(ended.asked),
                               .time = time};
  });
  impl_->numbers.emplace(call.number, handle);
  return handle;
}

bool Bench::is_done(Handle handle) const { return impl_->calls[handle].result.has_value(); }

// HostProcess ends every call at its deadline, so this ends too.
BenchResult Bench::finish(Handle handle) {
  while (!is_done(handle)) run_until([&] { return is_done(handle); }, Seconds(60));
  Impl::Call& call = impl_->calls[handle];
  impl_->numbers.erase(call.number);
  call.upstream = nullptr;
  return std::move(*call.result);
}

void Bench::cancel(Handle handle) { impl_->host->cancel(impl_->calls[handle].number); }

BenchResult Bench::call(HostFunction function, std::string request, Millis timeout, Upstream upstream) {
  return finish(begin(function, std::move(request), timeout, std::move(upstream)));
}

bool Bench::run_until(const std::function<bool()>& holds, Millis time) {
  const SteadyTime end = std::chrono::steady_clock::now() + time;
  while (!holds()) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (now >= end) return false;
    if (impl_->io.stopped()) impl_->io.restart();
    const auto guard = asio::make_work_guard(impl_->io);
    impl_->io.run_one_until(std::min(end, now + longest_wait));
  }
  return true;
}

void Bench::post(std::move_only_function<void()> work) { asio::post(impl_->io, std::move(work)); }

void Bench::after(Millis delay, std::move_only_function<void()> work) {
  const auto timer = std::make_shared<asio::steady_timer>(impl_->io, delay);
  timer->async_wait([timer, work = std::move(work)](const boost::system::error_code& failed) mutable {
    if (!failed) work();
  });
}

std::optional<HostEnd> Bench::ended() const { return impl_->end; }

HostEnd Bench::wait_for_end() {
  run_until([this] { return impl_->end.has_value(); }, end_on_its_way);
  if (impl_->end) return *impl_->end;
  return {.refused = false, .timed_out = false, .reason = "its host is gone", .last_line = {}};
}

std::vector<BenchLine> Bench::take_lines(bool wait) {
  if (wait) run_until([] { return false; }, lines_on_their_way);
  return std::exchange(impl_->lines, {});
}

}  // namespace restream::tool
