// What the requests of one plugin may hold together: a real Plugin with a real host, and a server that takes its time.
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
  HttpClient http{HttpOptions{.user_agent = "restream/test"}, real_clock()};
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

  // Sends so many MiB to the server; gives what the plugin made of it.
  std::shared_ptr<std::optional<PluginReply>> post(const TestServer& server, int mebibytes) {
    auto reply = std::make_shared<std::optional<PluginReply>>();
    plugin->call({.poll = {},
                  .function = HostFunction::fetch,
                  .request = "post " + std::to_string(mebibytes) + " " + server.origin() + "/",
                  .timeout = 60s,
                  .rules = rules_for(server.origin()),
                  .allowance = nullptr,
                  .limited_status = {},
                  .trust = CallTrust::proven,
                  .done = [reply](PluginReply came) { *reply = std::move(came); }});
    return reply;
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
  std::vector<std::shared_ptr<std::optional<PluginReply>>> taken;
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
