// A real Plugin with a real host, and a server that takes its time: what its requests may hold together, and calls that
// wait for a place.
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>

#include "fetch/plugin.hpp"
#include "host_support.hpp"
#include "http_ask.hpp"
#include "http_test_server.hpp"

using namespace restream;
using namespace restream::test;

namespace {

namespace asio = boost::asio;

struct Loaded {
  asio::io_context io;
  // With patience: what the tests send is much for a busy machine.
  HttpClient http{HttpOptions{.user_agent = "restream/test", .connect = 60s, .first_byte = 60s}, real_clock()};
  std::shared_ptr<Plugin> plugin;

  Loaded() {
    CoreLoop loop;
    loop.post = [this](std::move_only_function<void()> work) { asio::post(io, std::move(work)); };
    loop.at = [this](SteadyTime due, std::move_only_function<void()> work) {
      auto timer = std::make_shared<asio::steady_timer>(io, due);
      timer->async_wait([timer, work = std::move(work)](auto) mutable { work(); });
    };
    HostOptions options = options_for("actor");
    options.memory = 1ULL << 30U;
    plugin =
        std::make_shared<Plugin>(Plugin::Surroundings{.io = io,
                                                      .loop = loop,
                                                      .clock = real_clock(),
                                                      .random = [] { return 0.0; },
                                                      .http = http,
                                                      .log = Log([](LogLevel, const std::string&) {}, LogLevel::info),
                                                      .scratch = {}},
                                 std::move(options), [] {});
    plugin->start();
    REQUIRE(run_until([this] { return plugin->state() == PluginState::ready; }));
  }
  ~Loaded() {
    plugin->stop();
    plugin.reset();
    io.restart();
    io.run_for(200ms);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  bool run_until(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!holds()) {
      if (std::chrono::steady_clock::now() >= end) return false;
      if (io.stopped()) io.restart();
      io.run_one_for(20ms);
    }
    return true;
  }

  using Reply = std::shared_ptr<std::optional<PluginReply>>;

  // Gives what the plugin made of it.
  Reply call(const std::string& request, std::shared_ptr<const HttpRules> rules, const std::string& poll = {},
             CallTrust trust = CallTrust::proven) {
    auto reply = std::make_shared<std::optional<PluginReply>>();
    plugin->call({.poll = poll,
                  .function = HostFunction::fetch,
                  .request = request,
                  .timeout = 60s,
                  .rules = std::move(rules),
                  .allowance = nullptr,
                  .limited_status = {},
                  .trust = trust,
                  .done = [reply](PluginReply came) { *reply = std::move(came); }});
    return reply;
  }

  // Sends so many MiB to the server.
  Reply post(const TestServer& server, int mebibytes) {
    return call("post " + std::to_string(mebibytes) + " " + server.origin() + "/", rules_for(server.origin()));
  }
};

}  // namespace

TEST_CASE("the requests that a plugin has under way hold 64 MiB together, and one that would pass that fails alone") {
  std::promise<void> release;
  TestServer server([go = release.get_future().share()](int fd, const SeenRequest&) {
    go.wait();
    send_all(fd, answer(200, "", "taken"));
    return true;
  });
  Loaded loaded;
  std::vector<Loaded::Reply> taken;
  for (int i = 0; i < 4; ++i) taken.push_back(loaded.post(server, 15));
  const bool arrived = loaded.run_until([&] { return server.seen().size() == 4; });
  const auto small = loaded.post(server, 3);
  const auto large = loaded.post(server, 15);
  const bool refused = loaded.run_until([&] { return large->has_value(); });
  release.set_value();
  REQUIRE(arrived);
  REQUIRE(refused);
  CHECK_THAT((*large)->output, Catch::StartsWith("6 0 [") && Catch::Contains("64 MiB"));
  CHECK((*large)->http_problem == HttpProblem::too_large);
  CHECK_THAT((*large)->http_message, Catch::Contains("64 MiB"));
  taken.push_back(small);
  for (const auto& one : taken) {
    REQUIRE(loaded.run_until([&] { return one->has_value(); }));
    CHECK_THAT((*one)->output, Catch::StartsWith("0 200 [] [taken]"));
  }
  // What has ended counts no more.
  const auto later = loaded.post(server, 15);
  REQUIRE(loaded.run_until([&] { return later->has_value(); }));
  CHECK_THAT((*later)->output, Catch::StartsWith("0 200 [] [taken]"));
}

TEST_CASE("a call that waits for a place and that nobody waits for is not made, and those behind it move up") {
  Loaded loaded;
  const auto rules = rules_for("http://127.0.0.1:1");
  const auto begin = [&](const std::string& request, const std::string& poll) {
    return loaded.call(request, rules, poll, CallTrust::failed);
  };
  std::vector<Loaded::Reply> under_way;  // as many as may be of those that are not trusted
  for (int i = 0; i < 40; ++i) under_way.push_back(begin("until-cancelled", "hangs-" + std::to_string(i)));
  const auto first = begin("echo first", "first");
  const auto unwanted = begin("echo unwanted", "unwanted");
  const auto last = begin("echo last", "last");
  REQUIRE(loaded.plugin->waiting() == 3);

  CHECK(loaded.plugin->cancel("unwanted"));
  CHECK_FALSE(unwanted->has_value());  // not from inside
  CHECK(loaded.plugin->waiting() == 2);
  CHECK_FALSE(loaded.plugin->cancel("unwanted"));
  REQUIRE(loaded.run_until([&] { return unwanted->has_value(); }));
  CHECK((*unwanted)->kind == PluginReply::Kind::retry);

  CHECK(loaded.plugin->cancel("hangs-0"));
  for (const auto& [reply, output] : {std::pair(first, "first"), std::pair(last, "last")}) {
    REQUIRE(loaded.run_until([&] { return reply->has_value(); }));
    CHECK((*reply)->output == output);
  }
  CHECK(loaded.plugin->waiting() == 0);
  CHECK_FALSE(loaded.plugin->cancel("first"));
}
