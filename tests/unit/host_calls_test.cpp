#include <sys/wait.h>

#include <fstream>
#include <set>
#include <thread>

#include "host_support.hpp"

using namespace restream;
using namespace restream::test;

TEST_CASE("a plugin is loaded and says what it was built for") {
  Host host("actor");
  CHECK(host.process->pid() == 0);
  host.started();
  CHECK(host.greeting.abi == "1.0");
  CHECK(host.greeting.sdk_version == RESTREAM_SDK_VERSION);
  CHECK(host.process->pid() > 0);
}

TEST_CASE("both functions can be called and give what they emit") {
  Host host("actor");
  host.started();
  const CallResult metadata = call(host, "{}", 60s, HostFunction::metadata);
  CHECK(metadata.kind == CallResult::Kind::returned);
  CHECK(metadata.code == RESTREAM_OK);
  CHECK(metadata.output == R"({"name": "actor"})");
  CHECK(call(host, "echo some text").output == "some text");
  CHECK(call(host, "code -7").code == -7);
  CHECK(call(host, "code 3").code == RESTREAM_REFUSED);
}

TEST_CASE("more calls than there are threads all come back, each with its own result") {
  Host host("actor");
  host.started();
  std::vector<Pending> pending;
  for (int i = 0; i < 300; ++i) pending.push_back(begin(host, "sleep " + std::to_string(20 + i % 50)));
  CHECK(host.process->calls() == 300);
  std::set<CallNumber> numbers;
  for (std::size_t i = 0; i < pending.size(); ++i) {
    const CallResult result = finish(host, pending[i]);
    CHECK(result.kind == CallResult::Kind::returned);
    CHECK(result.output == std::to_string(20 + i % 50));
    numbers.insert(pending[i].number);
  }
  CHECK(numbers.size() == pending.size());
  CHECK(host.process->calls() == 0);
}

TEST_CASE("calls run side by side on a bounded number of threads") {
  Host host("actor");
  host.started();
  // Sum it up from the outside: 128 workers and main (and what a sanitizer adds).
  const auto threads = [&] {
    std::ifstream status("/proc/" + std::to_string(host.process->pid()) + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("Threads:")) return std::stoi(line.substr(8));
    return 0;
  };
  int most = 0;
  // These last until told to end, so that there is a thread for each, however long the machine takes to start them.
  std::vector<Pending> pending;
  for (int i = 0; i < 200; ++i) pending.push_back(begin(host, "until-cancelled"));
  CHECK(host.run_until([&] {
    most = std::max(most, threads());
    return most >= 100;
  }));
  for (const Pending& one : pending) host.process->cancel(one.number);
  for (int i = 0; i < 200; ++i) pending.push_back(begin(host, "sleep 500"));
  const auto start = std::chrono::steady_clock::now();
  for (const Pending& one : pending)
    CHECK(host.run_until([&] {
      most = std::max(most, threads());
      return one.done();
    }));
  CHECK(most <= 129 + (sanitized ? 2 : 0));
  CHECK(std::chrono::steady_clock::now() - start < 30s);  // one by one: 100 s
}

TEST_CASE("a result of 16 MiB arrives whole") {
  Host host("actor");
  host.started();
  const CallResult result = call(host, "large 16");
  CHECK(result.code == RESTREAM_OK);
  CHECK((result.output == std::string(16U << 20U, 'x')));
}

TEST_CASE("a request of some megabytes arrives whole") {
  Host host("actor");
  host.started();
  const std::string text(3U << 20U, 'y');
  CHECK((call(host, "echo " + text).output == text));
}

TEST_CASE("a result that passes 24 MiB is none, even when the plugin says that all is well") {
  Host host("actor");
  host.started();
  for (const char* request : {"endless", "large 25"}) {
    const CallResult result = call(host, request);
    CHECK(result.kind == CallResult::Kind::returned);
    CHECK(result.code == RESTREAM_TOO_LARGE);
    CHECK(result.output.empty());
  }
  CHECK(call(host, "large 24").output.size() == 24U << 20U);
}

TEST_CASE("an exception that leaves the plugin fails its call, and says so in the log") {
  Host host("actor");
  host.started();
  const auto other = begin(host, "sleep 100");
  CHECK(call(host, "throw out of ideas").code == RESTREAM_FAILED);
  CHECK(host.has_line(LogSource::plugin, RESTREAM_ERROR, "the plugin let an exception out: out of ideas"));
  CHECK(call(host, "throw-number").code == RESTREAM_FAILED);
  CHECK(finish(host, other).code == RESTREAM_OK);
}

TEST_CASE("a cancelled call learns of it and ends by itself") {
  Host host("actor");
  host.started();
  const auto first = begin(host, "until-cancelled");
  const auto second = begin(host, "until-cancelled");
  host.process->cancel(first.number);
  CHECK(finish(host, first).output == "cancelled");
  CHECK_FALSE(second.done());
  host.process->cancel(second.number);
  CHECK(finish(host, second).output == "cancelled");
  host.process->cancel(second.number);  // over: of no consequence
  host.process->cancel(12345);
  CHECK(call(host, "echo still here").output == "still here");
}

TEST_CASE("what a plugin prints and logs comes as lines with source and level") {
  Host host("actor");
  host.started();
  CHECK(call(host, "print hello").code == RESTREAM_OK);
  CHECK(call(host, "log hello").code == RESTREAM_OK);
  CHECK(host.run_until([&] { return host.lines.size() >= 4; }));
  CHECK(host.has_line(LogSource::standard_output, RESTREAM_INFO, "out: hello"));
  CHECK(host.has_line(LogSource::standard_error, RESTREAM_WARNING, "err: hello"));
  CHECK(host.has_line(LogSource::plugin, RESTREAM_DEBUG, "hello"));
  CHECK(host.has_line(LogSource::plugin, RESTREAM_ERROR, "two lines  [31mred ?"));
}

TEST_CASE("a long line is cut at 4 KiB, logged or printed") {
  Host host("actor");
  host.started();
  const std::string text(10'000, 'z');
  CHECK(call(host, "log " + text).code == RESTREAM_OK);
  CHECK(call(host, "print " + text).code == RESTREAM_OK);
  CHECK(host.run_until([&] { return host.lines.size() >= 4; }));
  CHECK(host.has_line(LogSource::plugin, RESTREAM_DEBUG, text.substr(0, 4096)));
  CHECK(host.has_line(LogSource::standard_output, RESTREAM_INFO, ("out: " + text).substr(0, 4096)));
}

namespace {

// What the notes about dropped lines add up to, and how many lines came besides.
struct Flood {
  std::size_t dropped = 0;
  std::size_t passed = 0;
};

Flood flood_in(const Host& host) {
  Flood flood;
  for (const LogLine& line : host.lines) {
    const auto note = line.text.find(" lines dropped: more than 200 in a second");
    if (note == line.text.npos)
      ++flood.passed;
    else
      flood.dropped += std::stoul(line.text.substr(0, note));
  }
  return flood;
}

// How many budgets of a second there may have been since then: that under way at the start, and that at the end.
std::size_t seconds_begun(SteadyTime start) {
  return static_cast<std::size_t>((std::chrono::steady_clock::now() - start) / 1s) + 2;
}

}  // namespace

TEST_CASE("a flood of lines is cut to 200 a second, and one line says how many were dropped") {
  Host host("actor");
  host.started();
  for (const char* request : {"log-flood 5000", "print-flood 5000"}) {
    host.lines.clear();
    const auto start = std::chrono::steady_clock::now();
    CHECK(call(host, request).code == RESTREAM_OK);
    CHECK(host.run_until([&] { return flood_in(host).passed + flood_in(host).dropped == 5000; }));
    CHECK(flood_in(host).passed >= 200);
    CHECK(flood_in(host).passed <= 200 * seconds_begun(start));
    // The budget is the host's: let its second pass before the next round.
    host.run_until([] { return false; }, 1100ms);
  }
}

TEST_CASE("a flood without end is not even read: it waits in the plugin's own writes") {
  // A second's worth of each, and what one read may take beyond.
  const std::pair<const char*, std::size_t> floods[] = {{"log-flood 2000000000", 25'000},
                                                        {"print-flood 2000000000", 75'000}};
  for (const auto& [request, a_second] : floods) {
    Host host("actor");
    host.started();
    const auto other = begin(host, "echo nothing");
    const auto start = std::chrono::steady_clock::now();
    begin(host, request);
    CHECK(finish(host, other).output == "nothing");
    host.run_until([] { return false; }, 2500ms);
    CHECK(flood_in(host).dropped > 0);
    CHECK(flood_in(host).dropped < seconds_begun(start) * a_second);
    CHECK_FALSE(host.ended);
  }
}
