#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "serve/answer.hpp"
#include "serve/close_frame.hpp"
#include "serve/message.hpp"
#include "serve/origin.hpp"
#include "serve/outbox.hpp"
#include "serve/proxies.hpp"
#include "serve/request.hpp"

using namespace restream;

TEST_CASE("our own origin may subscribe, and no other that only looks like it") {
  const OriginRule rule({});
  CHECK(rule.allows("http://localhost:8080", "localhost:8080", false));
  CHECK(rule.allows("http://LOCALHOST:8080", "LocalHost:8080", false));
  CHECK(rule.allows("http://example.com", "example.com:80", false));
  CHECK(rule.allows("http://[::1]:8080", "[::1]:8080", false));
  CHECK_FALSE(rule.allows("https://localhost:8080", "localhost:8080", false));
  CHECK_FALSE(rule.allows("http://localhost:8081", "localhost:8080", false));
  CHECK_FALSE(rule.allows("http://localhost", "localhost:8080", false));
  CHECK_FALSE(rule.allows("http://localhost:8080.evil.com", "localhost:8080", false));
  CHECK_FALSE(rule.allows("http://localhost:8080@evil.com", "localhost:8080", false));
  CHECK_FALSE(rule.allows("http://evil.com/localhost:8080", "localhost:8080", false));
  CHECK_FALSE(rule.allows("null", "localhost:8080", false));
  CHECK_FALSE(rule.allows("", "", false));
  CHECK_FALSE(rule.allows("null", "null", false));
  CHECK(rule.allows("https://example.com", "example.com", true));
  CHECK(rule.allows("https://localhost:8443", "localhost:8443", true));
  CHECK_FALSE(rule.allows("http://example.com", "example.com", true));
}

TEST_CASE("listed origins may subscribe, whole and exactly") {
  const OriginRule rule({"https://App.example.com", "http://localhost:3000"});
  CHECK(rule.allows("https://app.example.com", "api:8080", false));
  CHECK(rule.allows("https://app.example.com:443", "api:8080", false));
  CHECK(rule.allows("http://localhost:3000", "api:8080", false));
  CHECK_FALSE(rule.allows("http://app.example.com", "api:8080", false));
  CHECK_FALSE(rule.allows("https://app.example.com.evil.com", "api:8080", false));
  CHECK_FALSE(rule.allows("https://sub.app.example.com", "api:8080", false));
  CHECK(OriginRule({"*"}).allows("https://anything.example", "api:8080", false));
}

TEST_CASE("a subscribe message is read with all its fields") {
  const auto message = parse_message(
      R"({"action":"subscribe","channel":"news","params":{"s":"world","n":7,"f":1.50,"e":1e3,"big":18446744073709551616,"b":true},
          "since":"x:1","snapshot":false,"deliver":"patch"})");
  REQUIRE(message);
  CHECK(message->action == ClientMessage::Action::subscribe);
  CHECK(message->channel == "news");
  CHECK(
      message->params ==
      Params{{"s", "world"}, {"n", "7"}, {"f", "1.50"}, {"e", "1e3"}, {"big", "18446744073709551616"}, {"b", "true"}});
  CHECK(message->since == "x:1");
  CHECK_FALSE(message->delivery.snapshot);
  CHECK(message->delivery.deliver == Deliver::patch);
}

TEST_CASE("both spellings of unsubscribe_all are one action") {
  CHECK(parse_message(R"({"action":"unsubscribe_all"})")->action == ClientMessage::Action::unsubscribe_all);
  CHECK(parse_message(R"({"action":"unsubscribe-all"})")->action == ClientMessage::Action::unsubscribe_all);
}

TEST_CASE("a wrong message is refused with its code, and the message names the field") {
  struct Case {
    const char* text;
    const char* code;
    const char* named;
  };
  const Case cases[] = {
      {"", "bad_request", "JSON"},
      {"{", "bad_request", "JSON"},
      {"{} {}", "bad_request", "JSON"},
      {"[]", "bad_request", "object"},
      {"7", "bad_request", "object"},
      {"\"x\"", "bad_request", "object"},
      {"null", "bad_request", "object"},
      {"{}", "bad_request", "action"},
      {R"({"action":7})", "bad_request", "action"},
      {R"({"action":"fly"})", "unknown_action", "fly"},
      {R"({"wings":{"n":[2]},"action":"fly"})", "unknown_action", "fly"},
      {R"({"action":"subscribe"})", "bad_request", "channel"},
      {R"({"action":"subscribe","channel":["a"]})", "bad_request", "channel"},
      {R"({"action":"subscribe","channel":"a","since":null})", "bad_request", "since"},
      {R"({"action":"subscribe","channel":"a","snapshot":"no"})", "bad_request", "snapshot"},
      {R"({"action":"subscribe","channel":"a","deliver":"all"})", "bad_request", "deliver"},
      {R"({"action":"subscribe","channel":"a","params":[]})", "bad_request", "params"},
      {R"({"action":"subscribe","channel":"a","chanel":"b"})", "bad_request", "chanel"},
      {R"({"action":"subscribe","channel":"a","channel":"b"})", "bad_request", "channel"},
      {R"({"action":"subscribe","channel":"a","params":{"x":null}})", "invalid_params", "x"},
      {R"({"action":"subscribe","channel":"a","params":{"x":{"y":1}}})", "invalid_params", "x"},
      {R"({"action":"subscribe","channel":"a","params":{"x":[1]}})", "invalid_params", "x"},
  };
  for (const Case& one : cases) {
    INFO(one.text);
    const auto message = parse_message(one.text);
    REQUIRE_FALSE(message);
    CHECK(message.error().code == one.code);
    CHECK(message.error().message.find(one.named) != std::string::npos);
  }
  const std::string hidden(R"({"action":"unsubscribe_all"})" + std::string(1, '\0') + "and more");
  REQUIRE_FALSE(parse_message(hidden));
  CHECK(parse_message(hidden).error().message.find("byte 29 ") != std::string::npos);
  const auto deep = parse_message(R"({"action":)" + std::string(30000, '['));
  REQUIRE_FALSE(deep);
  CHECK(deep.error().code == "bad_request");
}

TEST_CASE("a request's head is read, and what two readers could read differently is refused") {
  const auto request = parse_request(
      "GET /channels/a%2Fb?x=1&y HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive, UPGRADE\r\n"
      "Upgrade: WebSocket\r\n\r\n");
  REQUIRE(request);
  CHECK(request->path == "/channels/a%2Fb");
  CHECK(request->query == "x=1&y");
  CHECK(request->upgrade());
  CHECK(parse_request("GET http://h/x?y HTTP/1.1\r\nHost: h\r\n\r\n")->path == "/x");
  CHECK(parse_request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")->has_body);
  CHECK(parse_request("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")->has_body);
  CHECK_FALSE(parse_request("GET / HTTP/1.0\r\n\r\n")->keep_alive);
  CHECK_FALSE(parse_request("GET / HTTP/1.1\r\n\r\n"));
  CHECK_FALSE(parse_request("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"));
  CHECK_FALSE(parse_request("GET / HTTP/1.1\r\nHost: a\r\nOrigin: b\r\nOrigin: c\r\n\r\n"));
  CHECK_FALSE(parse_request("GET x HTTP/1.1\r\nHost: a\r\n\r\n"));
  CHECK_FALSE(parse_request("GET / HTTP/9.1\r\nHost: a\r\n\r\n"));
  CHECK_FALSE(parse_request("nonsense\r\n\r\n"));
}

TEST_CASE("behind trusted proxies the client is the rightmost address that is none of theirs") {
  const Proxies proxies({"10.0.0.0/8", "::1", "192.168.1.1", "fd00::/8", "nonsense", "1.2.3.4/99"});
  CHECK(proxies.trusts("10.255.0.1"));
  CHECK(proxies.trusts("::1"));
  CHECK(proxies.trusts("fdab::7"));
  CHECK_FALSE(proxies.trusts("11.0.0.1"));
  CHECK_FALSE(proxies.trusts("192.168.1.2"));
  CHECK_FALSE(proxies.trusts("1.2.3.4"));
  CHECK_FALSE(proxies.trusts("::ffff:11.0.0.1"));
  CHECK(proxies.trusts("::ffff:10.0.0.1"));
  const auto way = [&](const std::string& peer, const std::string& headers, bool https = false) {
    const auto request = parse_request("GET / HTTP/1.1\r\nHost: own:8080\r\n" + headers + "\r\n");
    REQUIRE(request);
    return proxies.way(*request, peer, https);
  };
  const std::string forged = "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.2\r\n";
  CHECK(way("10.0.0.1", forged).address == "203.0.113.7");
  // Who is not trusted can say what it likes.
  const Way stranger = way("11.0.0.1", forged + "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n");
  CHECK(stranger.address == "11.0.0.1");
  CHECK_FALSE(stranger.https);
  CHECK(stranger.host == "own:8080");
  CHECK(way("10.0.0.1", "").address == "10.0.0.1");
  CHECK(way("10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n").address == "10.0.0.3");
  CHECK(way("10.0.0.1", "X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.2\r\n").address == "10.0.0.2");
  CHECK(way("10.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7\r\n").address == "203.0.113.7");
  CHECK(way("10.0.0.1", "X-Forwarded-For: 203.0.113.7:4711\r\n").address == "203.0.113.7");
  CHECK(way("::1", "X-Forwarded-For: [2001:DB8::1]:4711\r\n").address == "2001:db8::1");
  CHECK(way("::1", "X-Forwarded-For: 2001:db8::1\r\n").address == "2001:db8::1");
  CHECK(way("::1", "X-Forwarded-For: ::ffff:203.0.113.7\r\n").address == "203.0.113.7");
  CHECK(way("10.0.0.1", "X-Forwarded-For: <script>\r\n").address == "10.0.0.1");
  CHECK(way("10.0.0.1", "X-Forwarded-Proto: HTTPS\r\n").https);
  const Way told = way("10.0.0.1", "X-Forwarded-Proto: http, https\r\nX-Forwarded-Host: app.example\r\n");
  CHECK(told.https);
  CHECK(told.host == "app.example");
  CHECK(way("10.0.0.1", "", true).https);
  CHECK_FALSE(way("10.0.0.1", "X-Forwarded-Proto: http\r\n", true).https);
  CHECK_FALSE(Proxies({}).trusts("127.0.0.1"));
}

TEST_CASE("If-None-Match is a list, and weak tags match too") {
  CHECK(etag_matches("\"a\", W/\"b\"", "\"b\""));
  CHECK(etag_matches("*", "\"b\""));
  CHECK_FALSE(etag_matches("\"a\"", "\"b\""));
  CHECK_FALSE(etag_matches("*", ""));
}

TEST_CASE("a close frame's reason is cut to what fits") {
  const std::string frame = close_frame(1013, std::string(200, 'r'));
  CHECK(frame.size() == 2 + 125);
  CHECK(frame.substr(0, 4) == "\x88\x7d\x03\xf5");
}

TEST_CASE("the outbox sends in order, keeps what the kernel refuses, and counts live bytes apart") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  Outbox outbox(ends[0]);
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    const auto bytes =
        std::make_shared<const std::string>(20000 + static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
    expected += *bytes;
    outbox.send(bytes, i % 2 == 0 ? Outbox::Kind::other : Outbox::Kind::live);
  }
  CHECK(outbox.queued() > 0);
  CHECK(outbox.live_queued() > 0);
  CHECK(outbox.live_queued() < outbox.queued());
  std::string received;
  std::array<char, 5000> chunk{};
  while (received.size() < expected.size()) {
    const ssize_t size = ::recv(ends[1], chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (size > 0) received.append(chunk.data(), static_cast<std::size_t>(size));
    if (size <= 0) REQUIRE(outbox.flush() > 0);
  }
  CHECK(received == expected);
  CHECK(outbox.queued() == 0);
  CHECK(outbox.live_queued() == 0);
  CHECK_FALSE(outbox.broken());
  ::close(ends[1]);
  outbox.send(std::make_shared<const std::string>("x"), Outbox::Kind::other);
  CHECK(outbox.broken());
  ::close(ends[0]);
}
