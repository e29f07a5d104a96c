// Where requests may go: origins, addresses, redirects and `connect_to`.
#include <netdb.h>

#include "http_ask.hpp"
#include "http_test_server.hpp"

using namespace restream;
using namespace restream::test;

namespace {

const HttpOptions options{.user_agent = "restream/test"};

bool hello(int fd, const SeenRequest& request) {
  send_all(fd, answer(200, "", "hello " + request.target));
  return true;
}

bool is_private(const std::string& text) {
  sockaddr_storage storage{};
  sockaddr_in four{};
  sockaddr_in6 six{};
  if (inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    std::memcpy(&storage, &four, sizeof four);
  } else if (inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1) {
    six.sin6_family = AF_INET6;
    std::memcpy(&storage, &six, sizeof six);
  } else {
    FAIL("not an address: " << text);
  }
  return is_private_address(&storage);
}

}  // namespace

TEST_CASE("an origin is scheme, host and port, in one spelling") {
  CHECK(origin_of("https://api.nytimes.com/svc/topstories/v2/{}.json") == "https://api.nytimes.com");
  CHECK(origin_of("HTTPS://API.NYTimes.com:443/x?y#z") == "https://api.nytimes.com");
  CHECK(origin_of("http://api.example:443") == "http://api.example:443");
  CHECK(origin_of("http://api.example:080/") == "http://api.example");
  CHECK(origin_of("http://2130706433/") == "http://127.0.0.1");
  CHECK(origin_of("http://[0:0::1]:8080/") == "http://[::1]:8080");
  CHECK(origin_of("http://api%2eexample/") == "http://api.example");
  for (const std::string bad :
       {"", "api.nytimes.com/x", "ftp://api.example/", "file:///etc/passwd", "https://user@api.example/",
        "https://user:pw@api.example/", "https://api.example:99999/", "https:///", "https://a b/", "https://{}/",
        "http://[fe80::1%25eth0]/", "http://\xef\xbc\x91.example/", "javascript:alert(1)"}) {
    INFO(bad);
    CHECK_FALSE(origin_of(bad));
  }
  CHECK_THAT(origin_of("ftp://secret.example/secret").error(), Catch::Contains("ftp") && !Catch::Contains("secret"));
}

TEST_CASE("addresses of the world are told from private ones") {
  for (const std::string text : {"127.0.0.1",
                                 "127.255.255.254",
                                 "10.0.0.1",
                                 "172.16.0.1",
                                 "172.31.255.255",
                                 "192.168.1.1",
                                 "169.254.169.254",
                                 "100.64.0.1",
                                 "0.0.0.0",
                                 "192.0.2.2",
                                 "198.18.0.1",
                                 "198.51.100.1",
                                 "203.0.113.1",
                                 "224.0.0.1",
                                 "255.255.255.255",
                                 "240.0.0.1",
                                 "::",
                                 "::1",
                                 "fe80::1",
                                 "fc00::1",
                                 "fd12::1",
                                 "ff02::1",
                                 "2001:db8::1",
                                 "fec0::1",
                                 "::ffff:10.0.0.1",
                                 "::127.0.0.1",
                                 "64:ff9b::a00:1",
                                 "64:ff9b:1::1",
                                 "2002:7f00:1::1",
                                 "2001::1",
                                 "100::1",
                                 "3fff::1",
                                 "5f00::1",
                                 "::ffff:127.0.0.1",
                                 "192.0.0.170",
                                 "192.88.99.1",
                                 "2002:a00:1::",
                                 "2001:20::1",
                                 "2001:2::1",
                                 "198.19.255.255",
                                 "100.127.255.255",
                                 "4000::1"}) {
    INFO(text);
    CHECK(is_private(text));
  }
  for (const std::string text :
       {"8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "192.0.1.1", "198.17.0.1", "198.20.0.1",
        "11.0.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1",
        "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2001:4860::8888"}) {
    INFO(text);
    CHECK_FALSE(is_private(text));
  }
  sockaddr other{};
  other.sa_family = AF_UNIX;
  CHECK(is_private_address(&other));
}

TEST_CASE("requests go only to the origins that the rules name, exactly") {
  TestServer server(hello);
  HttpClient client(options, real_clock());
  const std::string port = server.port();
  const auto rules = rules_for(server.origin());
  for (const std::string& url : std::vector<std::string>{
           "https://127.0.0.1:" + port + "/?key=hidden", "http://127.0.0.1/", "http://localhost:" + port + "/",
           "http://127.0.0.1:" + port + ".evil.example/", "http://evil.example/127.0.0.1:" + port}) {
    INFO(url);
    const HttpError error = refused(client, get(url, rules));
    CHECK((error.problem == HttpProblem::refused || error.problem == HttpProblem::bad_request));
    CHECK_THAT(error.message, !Catch::Contains("hidden"));
    CHECK(error.requests == 0);
  }
  CHECK(refused(client, get("http://127.0.0.1:" + port + "@evil.example/", rules)).problem == HttpProblem::refused);
  CHECK(refused(client, get("http://evil.example@127.0.0.1:" + port + "/", rules)).problem == HttpProblem::refused);
  CHECK(refused(client, get(server.origin(), std::shared_ptr<const HttpRules>())).problem == HttpProblem::refused);
  CHECK(server.accepted() == 0);
  CHECK(got(client, get("http://2130706433:" + port + "/x", rules)).body == "hello /x");
}

TEST_CASE("private addresses are refused however they are written, and by name") {
  TestServer server(hello);
  TestServer six(hello, true);
  HttpClient client(options, real_clock());
  for (const std::string host :
       {"127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "0.0.0.0", "[::]", "localhost", "LOCALHOST", "a.localhost"}) {
    const std::string url = "http://" + host + ":" + (host.starts_with("[") ? six : server).port() + "/?key=hidden";
    INFO(url);
    const HttpError error = refused(client, get(url, rules_for(*origin_of(url), false)));
    CHECK(error.problem == HttpProblem::refused);
    CHECK(error.requests == 0);
    CHECK_THAT(error.message, Catch::Contains("allow_private") && !Catch::Contains("hidden"));
  }
  CHECK(server.accepted() + six.accepted() == 0);
}

TEST_CASE("a connection left by a fetcher that may use private addresses serves no fetcher that may not") {
  TestServer server(hello);
  HttpClient client(options, real_clock());
  const std::string origin = "http://localhost:" + server.port();
  REQUIRE(ask(client, get(origin + "/mine", rules_for(origin, true))));
  const HttpError error = refused(client, get(origin + "/yours", rules_for(origin, false)));
  CHECK(error.problem == HttpProblem::refused);
  CHECK(error.requests == 0);
  CHECK(server.seen().size() == 1);
}

TEST_CASE("connect_to sends the request elsewhere while it stays the API's") {
  TestServer server(hello);
  HttpClient client(options, real_clock());
  const auto rules = rules_for("https://api.example.com:8443", true, server.origin());
  const HttpResult result = ask(client, get("https://api.example.com:8443/a/b?c=d%2F", rules));
  REQUIRE(result);
  CHECK(result->body == "hello /a/b?c=d%2F");
  CHECK(server.seen().at(0).headers.at("host") == "api.example.com:8443");
  REQUIRE(ask(client, get("https://api.example.com", rules_for("https://api.example.com", true, server.origin()))));
  CHECK(server.seen().at(1).headers.at("host") == "api.example.com");
  CHECK(server.seen().at(1).target == "/");

  const HttpError error = refused(
      client, get("https://api.example.com:8443/", rules_for("https://api.example.com:8443", false, server.origin())));
  CHECK(error.problem == HttpProblem::refused);
  CHECK_THAT(error.message, Catch::StartsWith("https://api.example.com:8443 (sent to " + server.origin() + "): "));
  CHECK(refused(client, get(server.origin() + "/", rules)).problem == HttpProblem::refused);
}

TEST_CASE("redirects are followed within the origin, three at most") {
  TestServer elsewhere(hello);
  TestServer server([&](int fd, const SeenRequest& request) {
    const std::string& to = request.target;
    if (to.starts_with("/hop"))
      send_all(fd, answer(302, "Location: /hop" + std::to_string(std::stoi(to.substr(4)) - 1) + "\r\n", "x"));
    if (to.starts_with("/hop")) return true;
    if (to == "/relative/a")
      send_all(fd, answer(301, "Location: ../end?q=1#part\r\n", ""));
    else if (to == "/elsewhere")
      send_all(fd, answer(302, "Location: " + elsewhere.origin() + "/taken?with=hidden\r\n", ""));
    else if (to == "/scheme")
      send_all(fd, answer(302, "Location: https://" + request.headers.at("host") + "/\r\n", ""));
    else if (to == "/slashes")
      send_all(fd, answer(302, "Location: //evil.example/\r\n", ""));
    else if (to == "/user")
      send_all(fd, answer(302, "Location: http://u:p@" + request.headers.at("host") + "/\r\n", ""));
    else if (to == "/file")
      send_all(fd, answer(302, "Location: file:///etc/passwd\r\n", ""));
    else if (to == "/absolute")
      send_all(fd, answer(302, "Location: http://" + request.headers.at("host") + "/end\r\n", ""));
    else if (to == "/nowhere")
      send_all(fd, answer(302, "", "no location"));
    else if (to.starts_with("/post"))
      send_all(fd, answer(std::stoi(to.substr(5)), "Location: /end\r\n", ""));
    else
      send_all(fd, answer(200, "", "end " + to));
    return true;
  });
  HttpClient client(options, real_clock());
  const auto keyed = [&](const std::string& path) {
    HttpRequest request = get(server.origin(), path);
    request.headers = {{"Authorization", "Bearer hidden"}};
    return request;
  };
  SECTION("to an end") {
    const HttpResult result = ask(client, keyed("/relative/a"));
    REQUIRE(result);
    CHECK(result->body == "end /end?q=1");
    CHECK(result->requests == 2);
    CHECK(server.seen().at(1).headers.at("authorization") == "Bearer hidden");
    CHECK(got(client, keyed("/absolute")).body == "end /end");
    CHECK(got(client, keyed("/nowhere")).status == 302);
  }
  SECTION("three and no fourth") {
    const HttpError error = refused(client, keyed("/hop1000"));
    CHECK(error.problem == HttpProblem::refused);
    CHECK(error.requests == 4);
    CHECK(server.seen().size() == 4);
  }
  SECTION("never elsewhere") {
    for (const std::string path : {"/elsewhere", "/scheme", "/slashes", "/user", "/file"}) {
      INFO(path);
      const HttpError error = refused(client, keyed(path));
      CHECK(error.problem == HttpProblem::refused);
      CHECK(error.requests == 1);
      CHECK_THAT(error.message, !Catch::Contains("hidden") && !Catch::Contains("taken"));
    }
    CHECK(elsewhere.accepted() == 0);
  }
  SECTION("with the method that each status means") {
    for (const auto& [status, method] : std::vector<std::pair<std::string, std::string>>{
             {"301", "GET"}, {"302", "GET"}, {"303", "GET"}, {"307", "POST"}, {"308", "POST"}}) {
      HttpRequest request = keyed("/post" + status);
      request.method = "POST";
      request.body = "form";
      request.headers.emplace_back("Content-Type", "text/plain");
      REQUIRE(ask(client, std::move(request)));
      INFO(status);
      CHECK(server.seen().back().method == method);
      CHECK(server.seen().back().body == (method == "POST" ? "form" : ""));
      CHECK(server.seen().back().headers.contains("content-type") == (method == "POST"));
    }
  }
  SECTION("as the API's own under connect_to") {
    const auto rules = rules_for("https://api.example", true, server.origin());
    const HttpResult result = ask(client, get("https://api.example/relative/a", rules));
    REQUIRE(result);
    CHECK(result->body == "end /end?q=1");
    CHECK(server.seen().back().headers.at("host") == "api.example");
    CHECK(refused(client, get("https://api.example/elsewhere", rules)).problem == HttpProblem::refused);
    CHECK(got(client, get("https://api.example/scheme", rules)).body == "end /");
  }
}
