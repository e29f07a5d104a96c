// The time that connecting may take: an API may hang before it has taken a single request.
#include <fcntl.h>
#include <poll.h>

#include "http_ask.hpp"
#include "http_test_server.hpp"

using namespace restream;
using namespace restream::test;

namespace {

const HttpOptions hurried{.user_agent = "restream/test", .connect = 300ms};

// A port of 127.0.0.1 that nobody serves: the kernel makes the connections that find room in its backlog, and that is
// all that ever happens.
class DeafPort {
 public:
  explicit DeafPort(int backlog) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener_, generic(), sizeof address_) == 0);
    REQUIRE(::listen(listener_, backlog) == 0);
    socklen_t size = sizeof address_;
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &size) == 0);
  }
  ~DeafPort() {
    for (const int fd : connections_) ::close(fd);
    ::close(listener_);
  }
  DeafPort(const DeafPort&) = delete;
  DeafPort& operator=(const DeafPort&) = delete;

  // Connects until a connection hangs: the backlog is full.
  void fill() {
    for (int tries = 0; tries < 100; ++tries) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      connections_.push_back(fd);
      if (::connect(fd, generic(), sizeof address_) == 0) continue;
      REQUIRE(errno == EINPROGRESS);
      pollfd writable{.fd = fd, .events = POLLOUT, .revents = 0};
      if (::poll(&writable, 1, 100) == 0) return;
    }
    FAIL("the backlog does not fill");
  }

  [[nodiscard]] std::string place() const { return "127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }

 private:
  [[nodiscard]] const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&address_); }

  int listener_;
  sockaddr_in address_{};
  std::vector<int> connections_;
};

void is_given_up(const std::string& origin) {
  HttpClient client(hurried, real_clock());
  const SteadyTime start = std::chrono::steady_clock::now();
  const HttpError error = refused(client, get(origin, "/?key=secret", 15s));
  CHECK(error.problem == HttpProblem::unreachable);
  CHECK(error.message == origin + ": there was no connection within 300 ms");
  CHECK(error.requests == 0);
  CHECK(lasted(start, 300ms));
  CHECK(since(start) < 5s);
}

}  // namespace

TEST_CASE("a connection must be there in time, though the call has more") {
  SECTION("a port whose backlog is full takes no connection") {
    DeafPort port(0);
    port.fill();
    is_given_up("http://" + port.place());
  }
  SECTION("a port that accepts and never shakes hands") {
    const DeafPort port(16);
    is_given_up("https://" + port.place());
  }
}

TEST_CASE("a place that a hanging connection took is free again for the next") {
  DeafPort port(0);
  port.fill();
  HttpClient narrow(HttpOptions{.user_agent = "x", .requests_per_origin = 1, .connect = 300ms}, real_clock());
  const std::string origin = "http://" + port.place();
  auto first = start(narrow, get(origin, "/1", 15s));
  auto second = start(narrow, get(origin, "/2", 15s));
  for (auto* one : {&first, &second}) {
    REQUIRE(one->wait_for(10s) == std::future_status::ready);
    CHECK(one->get().error().problem == HttpProblem::unreachable);
  }
}

TEST_CASE("who is connected may take longer than connecting may") {
  TestServer server([](int fd, const SeenRequest&) {
    std::this_thread::sleep_for(1500ms);
    send_all(fd, answer(200, "", "slow"));
    return true;
  });
  HttpClient client(HttpOptions{.user_agent = "restream/test", .connect = 1s}, real_clock());
  CHECK(got(client, get(server.origin(), "/")).body == "slow");
}

TEST_CASE("where the whole call ends before the time for connecting does, that is what is told") {
  DeafPort port(0);
  port.fill();
  HttpClient client(HttpOptions{.user_agent = "x"}, real_clock());
  const HttpError error = refused(client, get("http://" + port.place(), "/", 300ms));
  CHECK(error.problem == HttpProblem::timeout);
  CHECK(error.message == "http://" + port.place() + ": there was no connection in time");
}
