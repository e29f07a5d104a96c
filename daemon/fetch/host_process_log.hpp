// The lines of one fetcher host: reads its stdout and stderr, and lets a bounded number of lines through. Runs on:
// core.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fetch/host_process.hpp"
#include "fetch/host_process_lines.hpp"
#include "fetch/host_process_spawn.hpp"
#include "model/clock.hpp"

namespace restream {

class HostLog : public std::enable_shared_from_this<HostLog> {
 public:
  using Sink = std::function<void(LogSource, int level, CallNumber call, std::string line)>;

  HostLog(boost::asio::io_context& core, Clock clock, Sink sink);

  // Takes the pipes over. Throws boost::system::system_error.
  void watch(OwnedFd& standard_output, OwnedFd& standard_error);

  void line(LogSource source, int level, CallNumber call, std::string_view raw);

  // What is still in the pipes of a child that has ended, and what was dropped.
  void drain();

  // Nothing comes after it, even when it is called by the sink.
  void close();

  [[nodiscard]] const std::string& last_line() const { return last_line_; }

 private:
  struct Pipe {
    LogSource source;
    int level;
    boost::asio::posix::stream_descriptor descriptor;
    boost::asio::steady_timer pause;
    LineSplitter lines;
    PerSecond budget;
  };

  void wait(Pipe& pipe);
  std::optional<std::size_t> read(Pipe& pipe);
  void report_dropped();

  Clock clock_;
  Sink sink_;
  bool closed_ = false;
  Pipe standard_output_;
  Pipe standard_error_;
  PerSecond lines_;
  boost::asio::steady_timer drop_timer_;
  std::uint64_t dropped_ = 0;
  std::string last_line_;
};

}  // namespace restream
