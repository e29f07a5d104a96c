// What a request is, what comes back, and how connections are used.
#include "http_ask.hpp"
#include "http_test_server.hpp"

using namespace restream;
using namespace restream::test;

namespace {

const HttpOptions options{.user_agent = "restream/test"};

bool hello(int fd, const SeenRequest& request) {
  if (request.target == "/headers") send_all(fd, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n");
  send_all(fd, answer(200, "X-Poll-Interval:  60 \r\nETag: \"AbC\"\r\nX-Empty:\r\n", "hello " + request.target));
  return true;
}

bool held(const SeenRequest& request, const std::string& name) { return request.headers.contains(name); }

}  // namespace

TEST_CASE("an answer comes back with its status, body and headers in lower case") {
  TestServer server(hello);
  HttpClient client(options, real_clock());
  const HttpResult result = ask(client, get(server.origin(), "/headers?a=%2F..%2F&b=c%20d"));
  REQUIRE(result);
  CHECK(result->status == 200);
  CHECK(result->body == "hello /headers?a=%2F..%2F&b=c%20d");
  CHECK(result->requests == 1);
  CHECK(header(*result, "x-poll-interval") == "60");
  CHECK(header(*result, "etag") == "\"AbC\"");
  CHECK(header(*result, "x-empty").empty());
  CHECK(header(*result, "link") == "(none)");
}

TEST_CASE("an answer of any status is an answer") {
  TestServer server([](int fd, const SeenRequest&) {
    send_all(fd, answer(429, "Retry-After: 7\r\n", "slow down"));
    return true;
  });
  HttpClient client(options, real_clock());
  const HttpResult result = ask(client, get(server.origin(), "/"));
  REQUIRE(result);
  CHECK(result->status == 429);
  CHECK(header(*result, "retry-after") == "7");
  CHECK(result->body == "slow down");
}

TEST_CASE("requests go over IPv6 as well") {
  TestServer server(hello, true);
  HttpClient client(options, real_clock());
  const HttpResult result = ask(client, get(server.origin(), "/six"));
  REQUIRE(result);
  CHECK(result->body == "hello /six");
}

TEST_CASE("the request carries what it was given and little else") {
  TestServer server(hello);
  HttpClient client(options, real_clock());
  HttpRequest request = get(server.origin(), "/x");
  request.headers = {{"Authorization", "Bearer abc"}, {"X-Blank", "  "},         {"Host", "elsewhere.example"},
                     {"content-length", "999"},       {"Connection", "upgrade"}, {"Transfer-Encoding", "chunked"},
                     {"Proxy-Authorization", "x"}};
  REQUIRE(ask(client, std::move(request)));
  const SeenRequest seen = server.seen().at(0);
  CHECK(seen.method == "GET");
  CHECK(seen.headers.at("host") == "127.0.0.1:" + server.port());
  CHECK(seen.headers.at("authorization") == "Bearer abc");
  CHECK(seen.headers.at("user-agent") == "restream/test");
  CHECK(seen.headers.at("accept-encoding") == "gzip, deflate");
  CHECK(held(seen, "x-blank"));
  for (const std::string name :
       {"content-length", "content-type", "connection", "transfer-encoding", "expect", "cookie", "proxy-authorization"})
    CHECK_FALSE(held(seen, name));
}

TEST_CASE("a POST carries its body and no type but its own") {
  TestServer server(hello);
  HttpClient client(options, real_clock());
  const std::string body = std::string("{\"q\": \"\0\"}", 10) + std::string(2'000'000, 'x');
  HttpRequest request = get(server.origin(), "/search");
  request.method = "POST";
  request.body = body;
  REQUIRE(ask(client, request));
  request.headers = {{"Content-Type", "application/json"}};
  request.body.clear();
  REQUIRE(ask(client, request));
  const std::vector<SeenRequest> seen = server.seen();
  CHECK(seen.at(0).method == "POST");
  CHECK(seen.at(0).body == body);
  CHECK_FALSE(held(seen.at(0), "content-type"));
  CHECK_FALSE(held(seen.at(0), "expect"));
  CHECK(seen.at(1).headers.at("content-type") == "application/json");
  CHECK(seen.at(1).headers.at("content-length") == "0");
}

TEST_CASE("other methods keep their names, and HEAD waits for no body") {
  TestServer server([](int fd, const SeenRequest& request) {
    const std::string whole = answer(200, "", std::string(50, 'x'));
    send_all(fd, request.method == "HEAD" ? whole.substr(0, whole.find("\r\n\r\n") + 4) : whole);
    return true;
  });
  HttpClient client(options, real_clock());
  for (const std::string method : {"PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "HEAD"}) {
    HttpRequest request = get(server.origin(), "/");
    request.method = method;
    const HttpResult result = ask(client, std::move(request));
    INFO(method);
    REQUIRE(result);
    CHECK(server.seen().back().method == method);
    CHECK(result->body.size() == (method == "HEAD" ? 0U : 50U));
    CHECK(header(*result, "content-length") == "50");
  }
}

TEST_CASE("what would smuggle a second request is refused before anything is sent") {
  TestServer server(hello);
  HttpClient client(options, real_clock());
  const std::vector<std::pair<std::string, std::string>> bad_headers{
      {"X-A", "b\r\nX-Evil: 1"}, {"X-A", "b\nc"}, {"X-A", std::string("b\0c", 3)}, {"X A", "b"}, {"X:A", "b"},
      {"X-A\r\nX-Evil", "1"},    {"", "b"}};
  for (const auto& bad : bad_headers) {
    HttpRequest request = get(server.origin(), "/");
    request.headers = {bad};
    CHECK(refused(client, std::move(request)).problem == HttpProblem::bad_request);
  }
  for (const std::string method : {"", "get", "GET /x HTTP/1.1\r\nA: b", "CONNECT", "TRACE", "G T"}) {
    HttpRequest request = get(server.origin(), "/");
    request.method = method;
    CHECK(refused(client, std::move(request)).problem == HttpProblem::bad_request);
  }
  for (const std::string path : {"/a b", "/a\r\nHost: x", "/a\tb", "/\x01"})
    CHECK(refused(client, get(server.origin(), path)).problem == HttpProblem::bad_request);
  CHECK(refused(client, get(server.origin() + std::string("/a\0b", 4), rules_for(server.origin()))).problem ==
        HttpProblem::bad_request);
  CHECK(server.accepted() == 0);
}

TEST_CASE("connections are used again, for redirects and failed answers too") {
  TestServer server([](int fd, const SeenRequest& request) {
    if (request.target == "/old")
      send_all(fd, answer(302, "Location: /new\r\n", "gone"));
    else
      send_all(fd, answer(request.target == "/bad" ? 500 : 200, "", "fine"));
    return true;
  });
  HttpClient client(options, real_clock());
  for (int i = 0; i < 20; ++i) REQUIRE(ask(client, get(server.origin(), i % 2 == 0 ? "/a" : "/bad")));
  REQUIRE(ask(client, get(server.origin(), "/old")));
  CHECK(server.accepted() == 1);
  CHECK(server.seen().size() == 22);
}

TEST_CASE("an idle connection that the server has closed is replaced without a failure, and the retry is counted") {
  std::atomic<int> count{0};
  TestServer server([&](int fd, const SeenRequest&) {
    if (++count == 2) return false;  // takes the request on the old connection and goes away
    send_all(fd, answer(200, "", "fine"));
    return true;
  });
  HttpClient client(options, real_clock());
  REQUIRE(got(client, get(server.origin(), "/1")).requests == 1);
  const HttpResult second = ask(client, get(server.origin(), "/2"));
  REQUIRE(second);
  CHECK(second->body == "fine");
  CHECK(second->requests == 2);
}

TEST_CASE("cookies are neither kept nor sent") {
  TestServer server([](int fd, const SeenRequest&) {
    send_all(fd, answer(200, "Set-Cookie: a=b; Path=/\r\n", "x"));
    return true;
  });
  HttpClient client(options, real_clock());
  REQUIRE(ask(client, get(server.origin(), "/")));
  REQUIRE(ask(client, get(server.origin(), "/")));
  CHECK_FALSE(held(server.seen().at(1), "cookie"));
}

TEST_CASE("the environment's proxy is not asked, the configured one is, save for private addresses") {
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  TestServer server(hello);
  TestServer proxy(hello);
  {
    HttpClient client(options, real_clock());
    CHECK(ask(client, get(server.origin(), "/")));
  }
  HttpClient client(HttpOptions{.proxy = proxy.origin(), .user_agent = "x"}, real_clock());
  const HttpResult far = ask(client, get("http://api.example/a?b", rules_for("http://api.example", false)));
  REQUIRE(far);
  CHECK(proxy.seen().at(0).target == "http://api.example/a?b");
  CHECK(ask(client, get(server.origin(), "/near")));
  CHECK(proxy.seen().size() == 1);
  CHECK(refused(client, get("http://127.0.0.1:1/", rules_for("http://127.0.0.1:1", false))).problem ==
        HttpProblem::refused);
  ::unsetenv("http_proxy");
}

TEST_CASE("a cancelled request ends as cancelled, at once, and frees its place") {
  std::atomic<bool> go{false};
  TestServer server([&](int fd, const SeenRequest& request) {
    while (request.target == "/hang" && !go) std::this_thread::sleep_for(5ms);
    send_all(fd, answer(200, "", "fine"));
    return true;
  });
  HttpClient client(HttpOptions{.user_agent = "x", .requests_per_origin = 1}, real_clock());
  HttpTicket running = 0;
  HttpTicket waiting = 0;
  std::future<HttpResult> first = start(client, get(server.origin(), "/hang"), &running);
  std::future<HttpResult> second = start(client, get(server.origin(), "/hang"), &waiting);
  std::future<HttpResult> third = start(client, get(server.origin(), "/free"));
  while (server.seen().empty()) std::this_thread::sleep_for(1ms);
  CHECK(client.load().active == 1);
  CHECK(client.load().waiting == 2);
  client.cancel(waiting);
  REQUIRE(second.wait_for(5s) == std::future_status::ready);
  CHECK(second.get().error().problem == HttpProblem::cancelled);
  client.cancel(running);
  client.cancel(running);
  client.cancel(4711);
  REQUIRE(first.wait_for(5s) == std::future_status::ready);
  CHECK(first.get().error().problem == HttpProblem::cancelled);
  REQUIRE(third.wait_for(5s) == std::future_status::ready);
  CHECK(third.get()->body == "fine");
  CHECK(client.load().active + client.load().waiting == 0);
  go = true;
}

TEST_CASE("destruction ends every request as cancelled, exactly once, also those that are started meanwhile") {
  TestServer server([&](int fd, const SeenRequest&) {
    char byte = 0;
    return ::recv(fd, &byte, 1, 0) > 0;
  });
  std::atomic<int> told{0};
  std::atomic<int> wrong{0};
  {
    HttpClient client(HttpOptions{.user_agent = "x", .requests_per_origin = 5}, real_clock());
    for (int i = 0; i < 50; ++i)
      client.start(get(server.origin(), "/"), [&](HttpResult result) {
        ++told;
        if (result || result.error().problem != HttpProblem::cancelled) ++wrong;
        client.start(get(server.origin(), "/"), [&](HttpResult) { ++told; });
      });
    while (server.seen().size() < 5) std::this_thread::sleep_for(1ms);
  }
  CHECK(told == 100);
  CHECK(wrong == 0);
}
