#include "fetch/host_process.hpp"

#include <restream/fetcher.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <deque>
#include <optional>
#include <unordered_map>

#include "fetch/host_process_lines.hpp"
#include "fetch/host_process_log.hpp"
#include "fetch/host_process_spawn.hpp"
#include "fetch/host_process_watch.hpp"
#include "wire/wire.hpp"

namespace restream {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::uint64_t log_frames_per_second = 20'000;  // more are left in the socket for the next second
constexpr std::size_t most_drained = 4U << 20U;
constexpr Seconds time_to_exit{1};  // after it hung up
constexpr std::chrono::hours longest_call{24};
constexpr Millis between_counts{500};  // of its threads

wire::Sandbox told(SandboxMode mode) {
  if (mode == SandboxMode::off) return wire::Sandbox::off;
  return mode == SandboxMode::best_effort ? wire::Sandbox::best_effort : wire::Sandbox::required;
}

}  // namespace

struct HostProcess::Impl : std::enable_shared_from_this<Impl> {
  struct Call {
    std::function<void(CallResult)> done;
    asio::steady_timer timer;
    std::uint32_t http = 0;  // number of the HTTP request under way; 0: none
  };

  enum class Phase : std::uint8_t { idle, loading, ready, ended };

  asio::io_context& core;
  Clock clock;
  HostOptions options;
  HostCallbacks callbacks;

  Phase phase = Phase::idle;
  bool abandoned = false;  // the HostProcess is gone: nobody is told anything
  bool killed = false;     // SIGKILL is sent; nothing that comes from it counts any more
  HostEnd end;
  pid_t pid = 0;  // 0: none, or reaped
  asio::posix::stream_descriptor process;
  asio::local::stream_protocol::socket socket;
  asio::steady_timer load_timer;
  asio::steady_timer hangup_timer;
  asio::steady_timer read_pause;
  asio::steady_timer count_timer;
  std::shared_ptr<HostLog> log;

  wire::Decoder decoder{wire::max_frame_of_host};
  std::deque<SecretText> unsent;  // calls have keys in them; the front one is being written
  CallNumber last_call = 0;
  std::unordered_map<CallNumber, Call> calls;
  PerSecond log_frames{log_frames_per_second};

  Impl(asio::io_context& on, Clock with, HostOptions what, HostCallbacks to)
      : core(on),
        clock(std::move(with)),
        options(std::move(what)),
        callbacks(std::move(to)),
        process(on),
        socket(on),
        load_timer(on),
        hangup_timer(on),
        read_pause(on),
        count_timer(on),
        log(std::make_shared<HostLog>(on, clock, callbacks.log)) {}

  // Only where the loop stopped before it saw the child's end.
  ~Impl() {
    if (pid == 0) return;
    kill_host(pid);
    reap_host(process.native_handle());
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // --- the child's life
  std::expected<void, std::string> start() {
    auto spawned = spawn_host(options.host, options.name);
    if (!spawned)
      return std::unexpected("the fetcher host of " + options.name + " cannot be started: " + spawned.error());
    pid = spawned->pid;
    try {
      process.assign(spawned->process.get());
      spawned->process.release();
      socket.assign(asio::local::stream_protocol(), spawned->socket.get());
      spawned->socket.release();
      log->watch(spawned->standard_output, spawned->standard_error);
    } catch (const boost::system::system_error& error) {
      kill_host(pid);
      reap_host(process.is_open() ? process.native_handle() : spawned->process.get());
      pid = 0;
      close_all();
      return std::unexpected("the fetcher host of " + options.name + " cannot be watched: " + error.what());
    }
    phase = Phase::loading;
    load_timer.expires_after(options.load_timeout);
    load_timer.async_wait([self = shared_from_this()](error_code canceled) {
      if (canceled || self->killed || self->phase != Phase::loading) return;
      self->end.timed_out = true;
      self->kill("it was not ready within " + std::to_string(self->options.load_timeout.count()) + " ms");
    });
    watch_exit();
    watch_threads();
    read_socket();
    send(0, wire::Start{options.name, std::filesystem::absolute(options.plugin).string(), options.memory,
                        told(options.sandbox)});
    return {};
  }

  void watch_exit() {
    process.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](error_code canceled) {
      if (!canceled) self->on_exit();
    });
  }

  void watch_threads() {
    count_timer.expires_after(between_counts);
    count_timer.async_wait([self = shared_from_this()](error_code canceled) {
      if (canceled || self->killed || self->pid == 0) return;
      // Until it is reaped even a dead process has its folder: one that is not there is one that we may not see.
      const auto threads = count_threads(self->pid, self->options.proc);
      if (const auto tell = threads ? nullptr : std::exchange(self->callbacks.uncounted, nullptr)) tell();
      if (threads.value_or(0) <= most_host_threads) return self->watch_threads();
      self->kill_and_lose_calls(too_many_threads(*threads));
    });
  }

  void on_exit() {
    // What it said before it went: results that are complete, why it refused, its last words.
    drain_socket();
    log->drain();
    kill_host(pid);  // what a plugin forked goes with it
    const HostExit exit = reap_host(process.native_handle());
    pid = 0;
    phase = Phase::ended;
    close_all();
    if (!killed)
      end.reason = exit.text + (exit.killed ? ", sent by another process, or by a kernel short of memory" : "");
    end.last_line = log->last_line();
    lose_calls();
    if (!abandoned && callbacks.ended) callbacks.ended(std::move(end));
  }

  // Calls are not ended here: no callback comes from inside kill().
  void kill(const std::string& reason) {
    if (killed || pid == 0) return;
    end.reason = "killed: " + reason;
    kill_now();
  }
  void kill_now() {
    killed = true;
    kill_host(pid);
    unsent.erase(unsent.begin() + (unsent.empty() ? 0 : 1), unsent.end());
  }
  void kill_and_lose_calls(const std::string& reason) {
    kill(reason);
    lose_calls();
  }
  void lose_calls() {
    auto lost = std::exchange(calls, {});
    for (auto& [number, call] : lost)
      if (!abandoned) call.done({CallResult::Kind::lost, 0, {}});
  }

  void abandon() {
    abandoned = true;
    if (pid != 0 && !killed) kill_now();
    calls.clear();
    close_all();
  }

  // The wait for its end goes on while it runs: it must be reaped.
  void close_all() {
    error_code ignored;
    if (pid == 0) process.close(ignored);
    socket.close(ignored);
    log->close();
    for (auto* timer : {&load_timer, &hangup_timer, &read_pause, &count_timer}) timer->cancel();
  }

  // --- calls
  CallNumber call(HostFunction function, const SecretText& request, SteadyTime deadline,
                  std::function<void(CallResult)> done) {
    const CallNumber number = ++last_call;
    const auto end_at_once = [&](CallResult result) {
      asio::post(core, [self = shared_from_this(), done = std::move(done), result = std::move(result)]() mutable {
        if (!self->abandoned) done(std::move(result));
      });
      return number;
    };
    if (phase != Phase::ready || killed) return end_at_once({CallResult::Kind::lost, 0, {}});
    const auto left = std::min<SteadyTime::duration>(deadline - clock.steady(), longest_call);
    const auto real_deadline = std::chrono::steady_clock::now() + left;  // the child knows no clock but the real one
    wire::Message message =
        wire::Call{static_cast<wire::Function>(function),
                   std::chrono::nanoseconds(real_deadline.time_since_epoch()).count(), request.text()};
    if (wire::encoded_size(message) > wire::max_frame)
      return end_at_once({CallResult::Kind::returned, RESTREAM_TOO_LARGE, {}});

    Call& call = calls.emplace(number, Call{std::move(done), asio::steady_timer(core), 0}).first->second;
    call.timer.expires_after(left);
    call.timer.async_wait([self = shared_from_this(), number](error_code canceled) {
      if (!canceled) self->on_deadline(number);
    });
    send(number, message);
    wipe(std::get<wire::Call>(message).request);
    return number;
  }

  void on_deadline(CallNumber number) {
    // A busy loop is no fault of the plugin's: the result may be here already.
    drain_socket();
    const auto found = calls.find(number);
    if (abandoned || found == calls.end()) return;
    const auto done = std::move(found->second.done);
    calls.erase(found);
    if (killed) return done({CallResult::Kind::lost, 0, {}});
    end.timed_out = true;
    kill("a call passed its deadline");
    done({CallResult::Kind::timed_out, 0, {}});
    lose_calls();
  }

  void reply(CallNumber number, std::uint32_t http, HostHttpResponse response) {
    const auto found = calls.find(number);
    if (abandoned || killed || found == calls.end() || found->second.http != http) return;
    found->second.http = 0;
    if (response.headers.size() > wire::max_headers) response.headers.resize(wire::max_headers);
    wire::Message message = wire::HttpResponse{http,
                                               response.code,
                                               response.status,
                                               std::move(response.headers),
                                               std::move(response.body),
                                               std::move(response.error)};
    if (wire::encoded_size(message) > wire::max_frame)
      message = wire::HttpResponse{http, RESTREAM_TOO_LARGE, 0, {}, {}, "the answer is too large for a plugin"};
    send(number, message);
  }

  // --- to the child
  void send(std::uint64_t number, const wire::Message& message) {
    if (killed) return;
    unsent.emplace_back(wire::encode(number, message));
    if (unsent.size() == 1) write();
  }

  void write() {
    asio::async_write(socket, asio::buffer(unsent.front().text()),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        self->unsent.pop_front();
                        if (error) self->unsent.clear();  // the reading side hears of it too
                        if (!self->unsent.empty() && !self->killed) self->write();
                      });
  }

  // --- from the child
  // Waits and reads apart, never with a read under way: so drain_socket() can take what has come, in order, at any
  // time.
  void read_socket() {
    socket.async_wait(asio::socket_base::wait_read, [self = shared_from_this()](error_code canceled) {
      if (canceled || self->abandoned) return;
      if (self->receive() == 0) return self->on_hangup();
      if (self->abandoned) return;
      const SteadyTime now = self->clock.steady();
      if (self->log_frames.spend(now, 0)) return self->read_socket();
      self->read_pause.expires_after(self->log_frames.renews() - now);
      self->read_pause.async_wait([self](error_code no_more) {
        if (!no_more && !self->abandoned) self->read_socket();
      });
    });
  }

  // One bufferful. 0: it has hung up; nothing: there is none now.
  std::optional<std::size_t> receive() {
    std::array<char, 65536> bytes;
    const ssize_t size = ::recv(socket.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN || errno == EINTR ? std::nullopt : std::optional<std::size_t>(0);
    take({bytes.data(), static_cast<std::size_t>(size)});
    return static_cast<std::size_t>(size);
  }

  void drain_socket() {
    for (std::size_t total = 0; !abandoned && !killed && total < most_drained;) {
      const std::size_t size = receive().value_or(0);
      if (size == 0) return;
      total += size;
    }
  }

  // It is most likely ending, and then its exit status says more.
  void on_hangup() {
    if (phase == Phase::ended) return;
    hangup_timer.expires_after(time_to_exit);
    hangup_timer.async_wait([self = shared_from_this()](error_code canceled) {
      if (!canceled && !self->abandoned) self->kill_and_lose_calls("it closed its connection to the daemon");
    });
  }

  void take(std::string_view bytes) {
    if (killed) return;
    decoder.feed(bytes);
    while (!abandoned && !killed) {
      auto next = decoder.next();
      if (!next) return kill_and_lose_calls("it sent " + next.error());
      if (!*next) return;
      if (const std::string excess = wire::excess_of((*next)->message); !excess.empty()) return unexpected(excess);
      std::visit([this, number = (*next)->call](auto& message) { on(number, message); }, (*next)->message);
    }
  }

  void on(std::uint64_t, wire::Ready& ready) {
    if (phase != Phase::loading) return unexpected("a second greeting");
    phase = Phase::ready;
    load_timer.cancel();
    if (callbacks.ready)
      callbacks.ready(
          {std::to_string(ready.abi_major) + '.' + std::to_string(ready.abi_minor), clean_line(ready.sdk_version)});
  }

  void on(std::uint64_t, wire::Refused& refused) {
    if (phase != Phase::loading) return unexpected("a refusal after its greeting");
    end.refused = true;
    end.reason = clean_line(refused.reason);
    kill_now();
  }

  void on(std::uint64_t number, wire::Result& result) {
    const auto found = calls.find(number);
    if (found == calls.end()) return unexpected("a result of no call");
    const auto done = std::move(found->second.done);
    calls.erase(found);
    done({CallResult::Kind::returned, result.code, std::move(result.output)});
  }

  void on(std::uint64_t number, wire::HttpRequest& request) {
    const auto found = calls.find(number);
    if (found == calls.end()) return unexpected("an HTTP request of no call");
    if (found->second.http != 0 || request.number == 0) return unexpected("two HTTP requests of one call");
    found->second.http = request.number;
    auto reply_to = [weak = weak_from_this(), number, http = request.number](HostHttpResponse response) {
      if (const auto self = weak.lock()) self->reply(number, http, std::move(response));
    };
    if (!callbacks.http) return reply_to({RESTREAM_REFUSED, 0, {}, {}, "this host performs no HTTP requests"});
    callbacks.http(
        number,
        {std::move(request.method), std::move(request.url), std::move(request.headers), std::move(request.body)},
        std::move(reply_to));
  }

  void on(std::uint64_t number, wire::Log& message) {
    log_frames.spend(clock.steady(), 1);
    log->line(LogSource::plugin, std::min<int>(message.level, RESTREAM_ERROR), number, message.line);
  }

  void on(std::uint64_t, auto&) { unexpected("a frame that is not for the daemon"); }

  void unexpected(const std::string& what) { kill_and_lose_calls("it sent " + what); }
};

HostProcess::HostProcess(asio::io_context& core, Clock clock, HostOptions options, HostCallbacks callbacks)
    : impl_(std::make_shared<Impl>(core, std::move(clock), std::move(options), std::move(callbacks))) {}

HostProcess::~HostProcess() { impl_->abandon(); }
std::expected<void, std::string> HostProcess::start() { return impl_->start(); }
CallNumber HostProcess::call(HostFunction function, const SecretText& request, SteadyTime deadline,
                             std::function<void(CallResult)> done) {
  return impl_->call(function, request, deadline, std::move(done));
}
void HostProcess::cancel(CallNumber call) {
  if (impl_->calls.contains(call)) impl_->send(call, wire::Cancel{});
}
void HostProcess::kill(const std::string& reason) { impl_->kill(reason); }
int HostProcess::pid() const { return impl_->pid; }
std::size_t HostProcess::calls() const { return impl_->calls.size(); }

}  // namespace restream
