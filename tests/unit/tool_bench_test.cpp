// The bench: one plugin in the real host, called from straight-line code.
#include <restream/fetcher.h>

#include <catch2/catch.hpp>

#include "tool/bench.hpp"

using namespace restream;
using namespace restream::tool;

namespace {

HostOptions options_for(const std::string& plugin) {
  const std::filesystem::path build = TEST_BUILD;
  HostOptions options;
  options.host = build / "libexec/restream/restream-fetcher-host";
  options.plugin = build / "tests/plugins" / (plugin + ".so");
  options.name = plugin;
  options.load_timeout = Seconds(20);
  return options;
}

constexpr Seconds patience{60};

Upstream hello() {
  return [](const HostHttpRequest&, const Reply& reply) {
    reply({.code = RESTREAM_OK, .status = 200, .headers = {}, .body = "hello", .error = {}});
  };
}

}  // namespace

TEST_CASE("a call comes back with what was emitted, asked and logged") {
  Bench bench(options_for("actor"));
  REQUIRE(bench.start().has_value());
  const BenchResult result = bench.call(HostFunction::fetch, "http https://a.example/x", patience, hello());
  CHECK(result.returned());
  CHECK(result.code == RESTREAM_OK);
  CHECK(result.output.find("[hello]") != std::string::npos);
  REQUIRE(result.asked.size() == 1);
  CHECK(result.asked.front().url == "https://a.example/x");
  bench.call(HostFunction::fetch, "print something", patience, {});
  const auto lines = bench.take_lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines.front().text.find("something") != std::string::npos);
  CHECK(bench.take_lines().empty());
}

TEST_CASE("calls overlap, and each finds its own answer") {
  Bench bench(options_for("actor"));
  REQUIRE(bench.start().has_value());
  std::vector<Reply> held;
  const Upstream hold = [&](const HostHttpRequest&, const Reply& reply) { held.push_back(reply); };
  std::vector<Bench::Handle> calls;
  for (int i = 0; i < 10; ++i)
    calls.push_back(bench.begin(HostFunction::fetch, "http https://a.example/" + std::to_string(i), patience, hold));
  REQUIRE(bench.run_until([&] { return held.size() == 10; }, patience));
  for (auto reply = held.rbegin(); reply != held.rend(); ++reply)
    (*reply)({.code = RESTREAM_OK, .status = 200, .headers = {}, .body = "x", .error = {}});
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const BenchResult result = bench.finish(calls[i]);
    CHECK(result.returned());
    REQUIRE(result.asked.size() == 1);
    CHECK(result.asked.front().url == "https://a.example/" + std::to_string(i));
  }
}

TEST_CASE("a cancelled call ends, a late one is told from a crash, and the end has its reason") {
  {
    Bench bench(options_for("actor"));
    REQUIRE(bench.start().has_value());
    const auto call = bench.begin(HostFunction::fetch, "until-cancelled", patience, {});
    CHECK_FALSE(bench.run_until([&] { return bench.is_done(call); }, Millis(100)));
    bench.cancel(call);
    CHECK(bench.finish(call).output == "cancelled");
    CHECK(bench.call(HostFunction::fetch, "hang", Millis(200), {}).kind == CallResult::Kind::timed_out);
    CHECK(bench.wait_for_end().timed_out);
  }
  Bench bench(options_for("actor"));
  REQUIRE(bench.start().has_value());
  CHECK(bench.call(HostFunction::fetch, "last-words farewell", patience, {}).kind == CallResult::Kind::lost);
  CHECK(bench.wait_for_end().reason == "exit status 9");
}

TEST_CASE("a plugin that cannot be loaded is an error with the reason") {
  Bench bench(options_for("abi-major"));
  const auto started = bench.start();
  REQUIRE_FALSE(started.has_value());
  CHECK(started.error().refused);
  CHECK(started.error().reason.find("is built for fetcher ABI") != std::string::npos);
}
