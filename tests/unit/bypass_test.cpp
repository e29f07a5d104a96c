// Every way we know of to make a request reach an address that is forbidden: spellings, names, a DNS that changes its
// mind, redirects. Behind all of them real listeners wait, and must hear nothing.
//
// The program runs in a network of its own (a namespace with nothing but a loopback device, which bears an address of
// the world and some private ones), and asks a resolver of its own.
#include <dlfcn.h>
#include <net/if.h>
#include <netdb.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <fstream>

#include "http_ask.hpp"
#include "http_test_server.hpp"

using namespace restream;
using namespace restream::test;

namespace {

const std::string world = "93.184.216.34";
const HttpOptions options{.user_agent = "restream/test"};

// --- a network of our own: entered before any thread is there

bool add_address(const char* device, const char* text) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, device, sizeof request.ifr_name - 1);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  bool done = true;
  if (text != nullptr) {
    ::inet_pton(AF_INET, text, &address.sin_addr);
    std::memcpy(&request.ifr_addr, &address, sizeof address);
    done = ::ioctl(fd, SIOCSIFADDR, &request) == 0;
  }
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
  done = ::ioctl(fd, SIOCSIFFLAGS, &request) == 0 && done;
  ::close(fd);
  return done;
}

bool enter_network() {
  const uid_t user = ::getuid();
  const gid_t group = ::getgid();
  if (::unshare(CLONE_NEWNET) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
    std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  }
  return add_address("lo", nullptr) && add_address("lo:1", world.c_str()) && add_address("lo:2", "10.1.2.3") &&
         add_address("lo:3", "169.254.169.254");
}

const bool own_network = enter_network();

// --- a resolver of our own

std::mutex names_mutex;
std::map<std::string, std::vector<std::vector<std::string>>> names;  // answers, one after the other; the last one stays
std::map<std::string, int> asked;

void answer_for(const std::string& name, std::vector<std::vector<std::string>> answers) {
  const std::scoped_lock lock(names_mutex);
  names[name] = std::move(answers);
  asked[name] = 0;
}

int times_asked(const std::string& name) {
  const std::scoped_lock lock(names_mutex);
  return asked[name];
}

// --- listeners at one port: what may be asked, and everything else

bool forbidden(int fd, const SeenRequest&) {
  send_all(fd, answer(200, "", "forbidden"));
  return true;
}

struct Listeners {
  TestServer allowed;
  int same_port;
  TestServer loopback;
  TestServer six;
  TestServer inside;
  TestServer cloud;

  explicit Listeners(const TestServer::Handler& handler)
      : allowed(handler, TestServer::At{world, 0}),
        same_port(std::stoi(allowed.port())),
        loopback(forbidden, TestServer::At{"127.0.0.1", same_port}),
        six(forbidden, TestServer::At{"::", same_port}),
        inside(forbidden, TestServer::At{"10.1.2.3", same_port}),
        cloud(forbidden, TestServer::At{"169.254.169.254", same_port}) {}

  [[nodiscard]] int heard() const {
    return loopback.accepted() + six.accepted() + inside.accepted() + cloud.accepted();
  }
  [[nodiscard]] std::string port() const { return allowed.port(); }
};

bool fine(int fd, const SeenRequest&) {
  send_all(fd, answer(200, "Connection: close\r\n", "fine"));
  return false;
}

std::shared_ptr<const HttpRules> no_private(const std::string& url) {
  const auto origin = origin_of(url);
  return rules_for(origin ? *origin : "http://api.example", false);
}

}  // namespace

// libcurl's call ends here.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
  static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  std::vector<std::string> addresses;
  {
    const std::scoped_lock lock(names_mutex);
    const auto found = node == nullptr ? names.end() : names.find(node);
    if (found == names.end()) return node == nullptr ? real(node, service, hints, result) : EAI_NONAME;
    const auto turn = static_cast<std::size_t>(asked[node]++);
    addresses = found->second[std::min(turn, found->second.size() - 1)];
  }
  addrinfo* first = nullptr;
  addrinfo** end = &first;
  for (const std::string& address : addresses) {
    addrinfo numeric = *hints;
    numeric.ai_family = AF_UNSPEC;
    numeric.ai_flags = AI_NUMERICHOST;
    if (const int failed = real(address.c_str(), service, &numeric, end); failed != 0) return failed;
    while (*end != nullptr) end = &(*end)->ai_next;
  }
  *result = first;
  return 0;
}

TEST_CASE("the test has a network of its own, in which every listener can be heard") {
  REQUIRE(own_network);  // user or network namespaces are forbidden here: run it as root, or allow them
  Listeners all(fine);
  HttpClient client(options, real_clock());
  CHECK(got(client, get("http://" + world + ":" + all.port() + "/", no_private("http://" + world + ":" + all.port())))
            .body == "fine");
  CHECK(all.heard() == 0);
  int heard = 0;
  for (const std::string host : {"127.0.0.1", "10.1.2.3", "169.254.169.254", "[::1]", "2130706433", "0.0.0.0"}) {
    const std::string url = "http://" + host + ":" + all.port() + "/";
    INFO(url);
    CHECK(got(client, get(url, rules_for(*origin_of(url), true))).body == "forbidden");
    CHECK(all.heard() >= ++heard - 1);  // a kept connection may serve two spellings of one address
  }
  CHECK(all.heard() >= 4);
}

TEST_CASE("no spelling of a forbidden address reaches it") {
  REQUIRE(own_network);
  Listeners all(fine);
  HttpClient client(options, real_clock());
  for (const std::string host : {"127.0.0.1",
                                 "127.0.0.1.",
                                 "127.1",
                                 "127.0.1",
                                 "2130706433",
                                 "017700000001",
                                 "0177.0.0.1",
                                 "0177.0.0x0.1",
                                 "0x7f000001",
                                 "0x7f.0.0.1",
                                 "0x7F.1",
                                 "%31%32%37.0.0.1",
                                 "127.0.0.1%2e",
                                 "0.0.0.0",
                                 "0",
                                 "0x0",
                                 "10.1.2.3",
                                 "0xa010203",
                                 "167838211",
                                 "012.1.2.3",
                                 "169.254.169.254",
                                 "2852039166",
                                 "0xa9fea9fe",
                                 "0251.0376.0251.0376",
                                 "localhost",
                                 "LOCALHOST",
                                 "localhost.",
                                 "a.localhost",
                                 "[::1]",
                                 "[0:0:0:0:0:0:0:1]",
                                 "[::]",
                                 "[::ffff:127.0.0.1]",
                                 "[::ffff:7f00:1]",
                                 "[::ffff:a9fe:a9fe]",
                                 "[::127.0.0.1]",
                                 "[64:ff9b::7f00:1]",
                                 "[64:ff9b:1::7f00:1]",
                                 "[2002:7f00:1::]",
                                 "[fe80::1%25lo]",
                                 "[::1%25lo]",
                                 "user@127.0.0.1",
                                 "93.184.216.34@127.0.0.1",
                                 "93.184.216.34:80@127.0.0.1",
                                 "127.0.0.1#@93.184.216.34",
                                 "127.0.0.1\\@93.184.216.34",
                                 "\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1",
                                 "\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1"}) {
    const std::string url = "http://" + host + ":" + all.port() + "/?key=hidden";
    INFO(url);
    // The rules allow its very origin, wherever it has one.
    const HttpError error = refused(client, get(url, no_private(url)));
    CHECK(error.requests == 0);
    CHECK_THAT(error.message, !Catch::Contains("hidden"));
  }
  CHECK(all.heard() == 0);
}

TEST_CASE("no name that resolves to a forbidden address reaches it") {
  REQUIRE(own_network);
  Listeners all(fine);
  HttpClient client(options, real_clock());
  int number = 0;
  for (const std::string address : {"127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "169.254.169.254", "::1",
                                    "::", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "64:ff9b::7f00:1", "2002:7f00:1::"}) {
    const std::string name = "name-" + std::to_string(++number) + ".example";
    answer_for(name, {{address}});
    const std::string url = "http://" + name + ":" + all.port() + "/";
    INFO(name << " is " << address);
    const HttpError error = refused(client, get(url, no_private(url)));
    CHECK(error.problem == HttpProblem::refused);
    CHECK(error.requests == 0);
    CHECK(times_asked(name) == 1);
  }
  CHECK(all.heard() == 0);
}

TEST_CASE("a name that resolves to something else the second time is connected to only where it may be") {
  REQUIRE(own_network);
  Listeners all(fine);
  const std::string url = "http://moves.example:" + all.port() + "/";
  const auto rules = no_private(url);
  SECTION("between two requests") {
    answer_for("moves.example", {{world}, {"127.0.0.1"}});
    {
      HttpClient first(options, real_clock());
      CHECK(got(first, get(url, rules)).body == "fine");
      CHECK(times_asked("moves.example") ==
            1);  // what was checked is what was connected to: there is no second question
    }
    HttpClient second(options, real_clock());  // knows no name yet
    const HttpError error = refused(second, get(url, rules));
    CHECK(error.problem == HttpProblem::refused);
    CHECK_THAT(error.message, Catch::Contains("127.0.0.1") && Catch::Contains("allow_private"));
    CHECK(times_asked("moves.example") == 2);
  }
  SECTION("with both in one answer") {
    answer_for("moves.example", {{"127.0.0.1", world}, {"::1", "10.1.2.3", world}, {world, "127.0.0.1"}});
    for (int i = 0; i < 3; ++i) {
      HttpClient client(options, real_clock());
      const HttpResult result = ask(client, get(url, rules, 3s));
      if (result) CHECK(result->body == "fine");
    }
    CHECK(times_asked("moves.example") == 3);
  }
  SECTION("where the allowed one does not answer") {
    answer_for("moves.example", {{"93.184.216.35", "127.0.0.1"}});
    HttpClient client(options, real_clock());
    CHECK(refused(client, get(url, rules, 3s)).requests == 0);
  }
  CHECK(all.heard() == 0);
}

TEST_CASE("no redirect leads to a forbidden address") {
  REQUIRE(own_network);
  std::string target;
  Listeners all([&target](int fd, const SeenRequest& request) {
    send_all(fd, answer(302, "Connection: close\r\nLocation: " + target + "\r\n", ""));
    return request.target.empty();
  });
  answer_for("inside.example", {{"127.0.0.1"}});
  HttpClient client(options, real_clock());
  const std::string origin = "http://" + world + ":" + all.port();
  const std::string port = all.port();
  int sent = 0;
  for (const std::string& to : std::vector<std::string>{
           "http://127.0.0.1:" + port + "/", "http://2130706433:" + port + "/", "http://0x7f.1:" + port + "/",
           "http://[::1]:" + port + "/", "http://[::ffff:127.0.0.1]:" + port + "/", "//127.0.0.1:" + port + "/",
           "http://localhost:" + port + "/", "http://inside.example:" + port + "/", "\\\\127.0.0.1:" + port + "\\",
           "http://" + world + "@127.0.0.1:" + port + "/", "http://169.254.169.254:" + port + "/latest/meta-data",
           "https://127.0.0.1:" + port + "/", "gopher://127.0.0.1:" + port + "/x", "file:///etc/passwd"}) {
    target = to;
    INFO(to);
    HttpRequest request = get(origin + "/?key=hidden", rules_for(origin, false));
    request.headers = {{"Authorization", "Bearer hidden"}};
    const HttpError error = refused(client, std::move(request));
    CHECK(error.problem == HttpProblem::refused);
    // A backslash is a character of the path like any other: that one goes round within the origin.
    CHECK(error.requests == (to.starts_with("\\") ? 4 : 1));
    sent += error.requests;
  }
  CHECK(static_cast<int>(all.allowed.seen().size()) == sent);
  CHECK(all.heard() == 0);
}
