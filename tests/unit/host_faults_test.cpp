#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "host_support.hpp"

using namespace restream;
using namespace restream::test;

namespace {

HostEnd end_of(HostOptions options) {
  Host host(std::move(options));
  REQUIRE(host.process->start());
  const HostEnd end = host.until_ended();
  CHECK_FALSE(host.ready);
  CHECK_FALSE(has_children());
  return end;
}

HostEnd end_of(const std::string& plugin) { return end_of(options_for(plugin)); }

std::filesystem::path scratch(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path(TEST_BUILD) / "tests" / name;
  std::filesystem::remove(path);
  return path;
}

}  // namespace

TEST_CASE("a plugin for another ABI is refused, with both versions") {
  const HostEnd major = end_of("abi-major");
  CHECK(major.refused);
  CHECK_THAT(major.reason, Catch::Contains("ABI 2.0") && Catch::Contains("this restream has 1.0") &&
                               Catch::StartsWith("abi-major.so"));
  const HostEnd minor = end_of("abi-minor");
  CHECK(minor.refused);
  CHECK_THAT(minor.reason, Catch::Contains("ABI 1.1") && Catch::Contains("this restream has 1.0"));
}

TEST_CASE("a library that is no plugin is refused, and what is missing is named") {
  const HostEnd no_fetch = end_of("no-fetch");
  CHECK(no_fetch.refused);
  CHECK(no_fetch.reason == "no-fetch.so cannot be used: it does not export fetch");
  const HostEnd none = end_of("no-descriptor");
  CHECK(none.refused);
  CHECK(none.reason == "no-descriptor.so cannot be used: it does not export restream_fetcher, metadata, fetch");
  const HostEnd magic = end_of("bad-magic");
  CHECK(magic.refused);
  CHECK_THAT(magic.reason, Catch::Contains("no fetcher descriptor"));
}

TEST_CASE("a file that is no library is refused") {
  const HostEnd text = end_of("not-a-library");
  CHECK(text.refused);
  CHECK_THAT(text.reason, Catch::StartsWith("not-a-library.so cannot be used: ") && !Catch::Contains("boost"));
  const HostEnd gone = end_of("no-such-file");
  CHECK(gone.refused);
  CHECK_THAT(gone.reason, Catch::Contains("No such file"));
}

TEST_CASE("a FIFO is refused and not opened, a half-copied library is refused or ends its host alone") {
  HostOptions options = options_for("actor");
  const auto whole = options.plugin;
  options.plugin = scratch("fifo.so");
  REQUIRE(mkfifo(options.plugin.c_str(), 0600) == 0);
  CHECK_THAT(end_of(options).reason, Catch::Contains("not a regular file"));

  options.plugin = scratch("half.so");
  std::filesystem::copy_file(whole, options.plugin);
  std::filesystem::resize_file(options.plugin, 8192);
  CHECK_FALSE(end_of(options).reason.empty());
}

TEST_CASE("a plugin that aborts while it is loaded ends its host, and is not refused") {
  const HostEnd end = end_of("abort-on-load");
  CHECK_FALSE(end.refused);
  CHECK_FALSE(end.timed_out);
  CHECK(end.reason == "signal 6 (SIGABRT)");
}

TEST_CASE("a plugin that does not finish loading is killed after the load timeout") {
  HostOptions options = options_for("hang-on-load");
  options.load_timeout = 300ms;
  const HostEnd end = end_of(options);
  CHECK(end.timed_out);
  CHECK_FALSE(end.refused);
  CHECK(end.reason == "killed: it was not ready within 300 ms");
}

TEST_CASE("a host program that does not exist is an error of start()") {
  HostOptions options = options_for("actor");
  options.host = "/nonexistent/restream-fetcher-host";
  Host host(options);
  const auto result = host.process->start();
  REQUIRE_FALSE(result);
  CHECK(result.error() ==
        "the fetcher host of actor cannot be started: /nonexistent/restream-fetcher-host: No such file or directory");
  CHECK_FALSE(has_children());
}

TEST_CASE("a crash ends every call under way, and then the host") {
  Host host("actor");
  host.started();
  const auto hanging = begin(host, "hang");
  const auto waiting = begin(host, "http https://api.example.com/");
  CHECK(call(host, "crash").kind == CallResult::Kind::lost);
  CHECK(finish(host, hanging).kind == CallResult::Kind::lost);
  CHECK(finish(host, waiting).kind == CallResult::Kind::lost);
  const HostEnd end = host.until_ended();
  CHECK_FALSE(end.refused);
  CHECK_FALSE(end.timed_out);
  if (!sanitized) CHECK(end.reason == "signal 11 (SIGSEGV)");
  CHECK(host.process->calls() == 0);
  CHECK(host.process->pid() == 0);
  CHECK(call(host, "echo too late").kind == CallResult::Kind::lost);
}

TEST_CASE("a plugin that exits is reported with its status and its last words") {
  Host host("actor");
  host.started();
  CHECK(call(host, "last-words that was it").kind == CallResult::Kind::lost);
  const HostEnd end = host.until_ended();
  CHECK(end.reason == "exit status 9");
  CHECK(end.last_line == "that was it");
  CHECK(host.has_line(LogSource::standard_error, RESTREAM_WARNING, "that was it"));
}

TEST_CASE("exit() in a plugin ends the host, other threads or not") {
  Host host("actor");
  host.started();
  begin(host, "hang");
  begin(host, "sleep 5000");
  CHECK(call(host, "exit 3").kind == CallResult::Kind::lost);
  const HostEnd end = host.until_ended();
  if (!sanitized) CHECK(end.reason == "exit status 3");
}

TEST_CASE("a call past its deadline costs its host, and the other calls are lost") {
  Host host("actor");
  host.started();
  const auto other = begin(host, "sleep 30000");
  const auto start = std::chrono::steady_clock::now();
  CHECK(call(host, "hang", 300ms).kind == CallResult::Kind::timed_out);
  const auto took = std::chrono::steady_clock::now() - start;
  CHECK(took >= 300ms);
  CHECK(took < 15s);  // the other call would have slept for 30
  CHECK(finish(host, other).kind == CallResult::Kind::lost);
  const HostEnd end = host.until_ended();
  CHECK(end.timed_out);
  CHECK(end.reason == "killed: a call passed its deadline");
  CHECK_FALSE(has_children());
}

TEST_CASE("a cancelled call that goes on all the same costs nobody anything before its deadline") {
  Host host("ignore-cancellation");
  host.started();
  const auto metadata = [&host] { return call(host, "{}", 60s, HostFunction::metadata); };
  const auto time = sanitized ? 15s : 3s;
  const auto start = std::chrono::steady_clock::now();
  const auto stubborn = begin(host, "{}", time);
  REQUIRE(host.run_until([&] { return !host.asked.empty(); }));
  host.process->cancel(stubborn.number);
  for (int i = 0; i < 5; ++i) {
    CHECK(metadata().code == RESTREAM_OK);
    host.run_until([] { return false; }, 100ms);
  }
  REQUIRE(std::chrono::steady_clock::now() < start + time);
  CHECK_FALSE(stubborn.done());
  CHECK_FALSE(host.ended);
  CHECK(finish(host, stubborn).kind == CallResult::Kind::timed_out);
  CHECK(std::chrono::steady_clock::now() >= start + time);
  CHECK(host.until_ended().reason == "killed: a call passed its deadline");
}

TEST_CASE("a result that came in time counts, however late a busy loop takes it") {
  Host host("actor");
  host.started();
  const auto pending = begin(host, "later 500", 1500ms);  // more than one read takes, and less than a socket holds
  host.run_until([] { return false; }, 100ms);            // so that it is sent
  std::this_thread::sleep_for(2000ms);
  const CallResult result = finish(host, pending);
  CHECK(result.kind == CallResult::Kind::returned);
  CHECK(result.output.size() == 100'000);
  CHECK_FALSE(host.ended);
}

TEST_CASE("garbage on the wire kills the host, with the reason") {
  for (const char* request : {"garbage", "false-result", "hang-up"}) {
    HostOptions options = options_for("actor");
    if (request == std::string("hang-up")) options.sandbox = SandboxMode::off;  // it allows no shutdown()
    Host host(options);
    host.started();
    CHECK(call(host, request).kind == CallResult::Kind::lost);
    const HostEnd end = host.until_ended();
    CHECK_FALSE(end.timed_out);
    const std::string expected = request == std::string("garbage") ? "killed: it sent a frame of 4294967295 bytes"
                                 : request == std::string("false-result")
                                     ? "killed: it sent a result of no call"
                                     : "killed: it closed its connection to the daemon";
    CHECK(end.reason == expected);
  }
}

TEST_CASE("a host that sends more than a host may is killed, with the reason") {
  struct Sent {
    const char* frame;
    const char* reason;
  };
  for (const auto& [frame, reason] : {
           Sent{"frame 7 25165825", "killed: it sent a result of more than 24 MiB"},
           Sent{"frame 7 50000000", "killed: it sent a frame of 50000017 bytes"},
           Sent{"frame 8 16777208", "killed: it sent an HTTP request of more than 16 MiB"},
           Sent{"frame 9 4097", "killed: it sent a log line of more than 4 KiB"},
       }) {
    INFO(frame);
    Host host("actor");
    host.started();
    CHECK(call(host, frame, 10s).kind == CallResult::Kind::lost);
    CHECK(host.until_ended().reason == reason);
    CHECK(host.asked.empty());
    CHECK(host.lines.empty());
  }
  Host host("actor");
  host.started();
  const CallResult most = call(host, "frame 7 25165824", 10s);
  CHECK(most.kind == CallResult::Kind::returned);
  CHECK(most.output.size() == 24U << 20U);
}

TEST_CASE("a plugin that closes the daemon's descriptor ends its host, which says why") {
  Host host("actor");
  host.started();
  CHECK(call(host, "close 3").kind == CallResult::Kind::lost);
  const HostEnd end = host.until_ended();
  if (!sanitized) CHECK(end.reason == "exit status 70");  // those end so slowly that they are killed on the way
  CHECK_THAT(end.last_line, Catch::Contains("descriptor 3") && Catch::Contains("Bad file descriptor"));
}

TEST_CASE("a library is loaded from a copy: what is done to the file harms nobody") {
  HostOptions options = options_for("stars");
  const auto whole = options.plugin;
  options.plugin = scratch("overwritten.so");
  std::filesystem::copy_file(whole, options.plugin);
  Host host(options);
  host.started();
  // In place, as cp does it. Pages of a mapped file would be these bytes from here on, or be gone.
  std::ofstream(options.plugin, std::ios::in | std::ios::out) << std::string(std::filesystem::file_size(whole), '!');
  CHECK(call(host, "{}", 60s, HostFunction::metadata).code == RESTREAM_OK);
  std::filesystem::resize_file(options.plugin, 0);
  CHECK(call(host, "{}", 60s, HostFunction::metadata).code == RESTREAM_OK);
  CHECK_FALSE(host.ended);
}

TEST_CASE("a symbolic link is refused, wherever it leads") {
  HostOptions options = options_for("actor");
  const auto whole = options.plugin;
  options.plugin = scratch("link.so");
  std::filesystem::create_symlink(whole, options.plugin);
  CHECK(end_of(options).reason == "link.so cannot be used: it is a symbolic link");
}

TEST_CASE("arguments that make no sense are refused by the host") {
  Host host("actor");
  host.started();
  const CallResult result = call(host, "bad-arguments");
  CHECK(result.output == "2 2 2 2 2 2 6 2 2 2 0");
  CHECK(host.asked.empty());
  CHECK(host.has_line(LogSource::plugin, RESTREAM_ERROR, "a level that there is not"));
}

TEST_CASE("a plugin that leaks its memory away is ended by its own limit", "[limits]") {
  if (sanitized) return;  // they do not run under the limit
  HostOptions options = options_for("actor");
  options.memory = 64ULL << 20U;
  Host host(options);
  host.started();
  CHECK(call(host, "large 8").output.size() == 8U << 20U);
  const CallResult result = call(host, "leak");
  CHECK(result.code == RESTREAM_FAILED);
  const HostEnd end = host.until_ended();
  CHECK(end.reason == "exit status 70");
  CHECK_THAT(end.last_line, Catch::Contains("out of memory"));
}
