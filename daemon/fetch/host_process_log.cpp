#include "fetch/host_process_log.hpp"

#include <restream/fetcher.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace restream {
namespace {

using boost::system::error_code;

constexpr std::uint64_t lines_per_second = 200;          // of one host, to the log
constexpr std::uint64_t printed_per_second = 1U << 20U;  // bytes read from each of stdout and stderr
constexpr std::size_t most_at_end = 1U << 20U;           // a pipe can be larger than the usual 64 KiB

}  // namespace

HostLog::HostLog(boost::asio::io_context& core, Clock clock, Sink sink)
    : clock_(std::move(clock)),
      sink_(std::move(sink)),
      standard_output_{LogSource::standard_output,
                       RESTREAM_INFO,
                       boost::asio::posix::stream_descriptor(core),
                       boost::asio::steady_timer(core),
                       {},
                       PerSecond(printed_per_second)},
      standard_error_{LogSource::standard_error,
                      RESTREAM_WARNING,
                      boost::asio::posix::stream_descriptor(core),
                      boost::asio::steady_timer(core),
                      {},
                      PerSecond(printed_per_second)},
      lines_(lines_per_second),
      drop_timer_(core) {}

void HostLog::watch(OwnedFd& standard_output, OwnedFd& standard_error) {
  const auto take = [this](Pipe& pipe, OwnedFd& fd) {
    pipe.descriptor.assign(fd.get());
    fd.release();
    pipe.descriptor.non_blocking(true);
    wait(pipe);
  };
  take(standard_output_, standard_output);
  take(standard_error_, standard_error);
}

void HostLog::wait(Pipe& pipe) {
  pipe.descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                             [self = shared_from_this(), &pipe](error_code canceled) {
                               if (canceled || self->closed_) return;
                               const auto size = self->read(pipe);
                               if (size == 0 || self->closed_) return;  // the plugin has closed it
                               const SteadyTime now = self->clock_.steady();
                               if (pipe.budget.spend(now, size.value_or(0))) return self->wait(pipe);
                               // A flood waits in its own pipe.
                               pipe.pause.expires_after(pipe.budget.renews() - now);
                               pipe.pause.async_wait([self, &pipe](error_code no_more) {
                                 if (!no_more && !self->closed_) self->wait(pipe);
                               });
                             });
}

// One bufferful. 0: there will be no more; nothing: there is none now.
std::optional<std::size_t> HostLog::read(Pipe& pipe) {
  std::array<char, 16384> bytes;
  const ssize_t size = ::read(pipe.descriptor.native_handle(), bytes.data(), bytes.size());
  if (size < 0) return errno == EAGAIN || errno == EINTR ? std::nullopt : std::optional<std::size_t>(0);
  for (const std::string& text : pipe.lines.feed({bytes.data(), static_cast<std::size_t>(size)}))
    line(pipe.source, pipe.level, 0, text);
  return static_cast<std::size_t>(size);
}

void HostLog::line(LogSource source, int level, CallNumber call, std::string_view raw) {
  if (closed_) return;
  last_line_ = clean_line(raw);
  const SteadyTime now = clock_.steady();
  if (lines_.spend(now, 1)) {
    if (sink_) sink_(source, level, call, last_line_);
  } else if (++dropped_ == 1) {
    drop_timer_.expires_after(lines_.renews() - now);
    drop_timer_.async_wait([self = shared_from_this()](error_code canceled) {
      if (!canceled) self->report_dropped();
    });
  }
}

void HostLog::report_dropped() {
  const std::uint64_t count = std::exchange(dropped_, 0);
  if (closed_ || count == 0 || !sink_) return;
  sink_(LogSource::plugin, RESTREAM_WARNING, 0,
        std::to_string(count) + (count == 1 ? " line" : " lines") + " dropped: more than " +
            std::to_string(lines_per_second) + " in a second");
}

void HostLog::drain() {
  for (Pipe* pipe : {&standard_output_, &standard_error_}) {
    // Something it forked may still be writing: so much and no more.
    for (std::size_t total = 0; pipe->descriptor.is_open() && total < most_at_end;) {
      const std::size_t size = read(*pipe).value_or(0);
      if (size == 0) break;
      total += size;
    }
    if (const std::string rest = pipe->lines.rest(); !rest.empty()) line(pipe->source, pipe->level, 0, rest);
  }
  report_dropped();
}

void HostLog::close() {
  closed_ = true;
  error_code ignored;
  for (Pipe* pipe : {&standard_output_, &standard_error_}) {
    pipe->descriptor.close(ignored);
    pipe->pause.cancel();
  }
  drop_timer_.cancel();
}

}  // namespace restream
