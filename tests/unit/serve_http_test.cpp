#include <fcntl.h>
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <ctime>
#include <thread>

#include "serve/limits.hpp"
#include "serve_fixture.hpp"

using namespace restream;
using namespace restream::test;

TEST_CASE("HTTP answers what the table says") {
  Rig rig;
  Client client = rig.client();
  CHECK(client.get("/livez").body == R"({"live":true})");
  CHECK(client.get("/readyz").json()["ready"] == true);
  CHECK(client.get("/fetchers").json().contains("fetchers"));
  CHECK(client.get("/fetchers/ny%74").json()["name"] == "nyt");
  CHECK(client.get("/channels").json().contains("channels"));
  const HttpAnswer catalogue = client.get("/", "Accept: */*\r\n");
  CHECK(catalogue.json().contains("fetchers"));
  const HttpAnswer nothing = client.get("/nothing");
  CHECK(nothing.status == 404);
  CHECK(nothing.json()["type"] == "error");
  const auto metrics = client.get("/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.body == "restream_build_info 1\n");
  CHECK(client.get("/channels/").status == 404);
  rig.core.ready = false;
  const HttpAnswer unready = client.get("/readyz");
  CHECK(unready.status == 503);
  CHECK(unready.json()["reason"] == "the store is not open");
}

TEST_CASE("a channel is got by its id, with an ETag") {
  Rig rig;
  Client client = rig.client();
  const HttpAnswer got = client.get("/channels/nyt-top?section=books%2Freview&_since=x");
  CHECK(got.status == 200);
  CHECK(got.header("ETag") == "\"tag\"");
  CHECK(got.header("Vary") == "Origin");
  CHECK(got.head.find("\r\nVary: Accept\r\n") != std::string::npos);
  CHECK(rig.core.last_get == "nyt-top?section=books%2Freview");
  const HttpAnswer again = client.get("/channels/nyt-top", "If-None-Match: \"tag\"\r\n");
  CHECK(again.status == 304);
  CHECK(again.body.empty());
  // The list may come in several headers.
  CHECK(client.get("/channels/nyt-top", "If-None-Match: \"old\"\r\nIf-None-Match: W/\"tag\"\r\n").status == 304);
  CHECK(client.get("/channels/nyt-top", "If-None-Match: \"old\"\r\nIf-None-Match: \"older\"\r\n").status == 200);
  const HttpAnswer head = client.get("/channels/nyt-top", "", "HEAD");
  CHECK(head.status == 200);
  CHECK(head.header("Content-Length") == "19");
  CHECK(client.get("/channels/nobody").status == 404);
  CHECK(client.get("/channels/full").header("Retry-After") == "5");
  CHECK(client.get("/channels/a?x=%zz").json()["code"] == "invalid_params");
  CHECK(client.get("/channels/a?_x=1").status == 400);
  CHECK(client.get("/channels/%zz").status == 400);
}

TEST_CASE("a browser gets the page, under a strict policy") {
  Rig rig;
  Client client = rig.client();
  const HttpAnswer page = client.get("/", "Accept: text/html,application/xhtml+xml\r\n");
  CHECK(page.status == 200);
  CHECK(page.header("Content-Type") == "text/html; charset=utf-8");
  CHECK(page.body.find("<!doctype html>") == 0);
  const std::string policy = page.header("Content-Security-Policy");
  CHECK(policy.find("default-src 'none'; script-src 'sha256-") == 0);
  CHECK(policy.find("unsafe") == std::string::npos);
  // One document: nothing that a browser would fetch besides.
  CHECK(page.body.find("<style>") != std::string::npos);
  CHECK(page.body.find("src=") == std::string::npos);
  CHECK(page.body.find("\nimport ") == std::string::npos);
}

TEST_CASE("other methods and bodies are refused") {
  Rig rig;
  const HttpAnswer post = rig.client().get("/fetchers", "", "POST");
  CHECK(post.status == 405);
  CHECK(post.header("Allow") == "GET, HEAD");
  CHECK(rig.client().get("/", "Content-Length: 3\r\n").status == 413);
  // Or the body would be the next request.
  for (const char* coding : {"chunked", "gzip", "chunked, gzip", "gzip, chunked", "identity", "chunked;x=1"}) {
    INFO(coding);
    Client smuggler = rig.client();
    smuggler.send("GET /livez HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: " + std::string(coding) +
                  "\r\n\r\nGET /fetchers HTTP/1.1\r\nHost: h\r\n\r\n");
    const int status = smuggler.read_answer().status;
    CHECK((status == 413 || status == 400));
    CHECK(smuggler.read_to_end().empty());
  }
  CHECK(rig.client().get("/", "X: " + std::string(9000, 'x') + "\r\n").status == 431);
  Client tls = rig.client();
  tls.send("\x16\x03\x01");
  CHECK(tls.read_answer().status == 400);
  Client odd = rig.client();
  odd.send("GET / HTTP/1.1\r\n\r\n");
  CHECK(odd.read_answer().status == 400);
}

TEST_CASE("a Host that is not UTF-8 is answered, also where the answer names it") {
  Rig rig;
  for (const char* path : {"/openapi.json", "/asyncapi.json"}) {
    INFO(path);
    Client client = rig.client();
    client.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n");
    const HttpAnswer answer = client.read_answer();
    CHECK(answer.status == 200);
    CHECK(nlohmann::json::accept(answer.body));
  }
}

TEST_CASE("what is not UTF-8 names no channel and no param") {
  Rig rig;
  Client client = rig.client();
  CHECK(client.get("/channels/news?q=%FF").json()["code"] == "invalid_params");
  CHECK(client.get("/channels/news?%C3=x").json()["code"] == "invalid_params");
  CHECK(client.get("/channels/n%ED%A0%80").status == 400);
  CHECK(client.get("/fetchers/%FF").status == 400);
  CHECK(client.stream("/events?channel=news%3Fq%3D%25FF").json()["code"] == "invalid_params");
  CHECK(client.get("/channels/news?q=%C3%A4").status == 200);
}

TEST_CASE("an answer that is under way when the server goes is sent to its end") {
  Rig rig;
  rig.clock.stop();
  Client slow = rig.client();
  slow.send("GET /channels/huge HTTP/1.1\r\nHost: h\r\n\r\n");
  REQUIRE(eventually([&] { return rig.server->totals().queued_bytes > 0; }));
  std::atomic<bool> done = false;
  rig.server->drain(Millis(3000), [&] { done = true; });
  std::this_thread::sleep_for(Millis(600));
  CHECK_FALSE(done);
  CHECK(slow.read_answer().body.size() == rig.core.huge->json.size());
  CHECK(slow.read_to_end().empty());
  CHECK(eventually([&] { return done.load(); }));
}

TEST_CASE("an answer that nobody takes does not keep the server") {
  Rig rig;
  rig.clock.stop();
  Client slow = rig.client();
  slow.send("GET /channels/huge HTTP/1.1\r\nHost: h\r\n\r\n");
  REQUIRE(eventually([&] { return rig.server->totals().queued_bytes > 0; }));
  std::atomic<bool> done = false;
  rig.drain(Millis(1000), [&] { done = true; });
  rig.clock.forward(Seconds(1));
  CHECK(eventually([&] { return done.load(); }));
}

TEST_CASE("pipelined requests are answered in order, and HTTP/1.0 closes") {
  Rig rig;
  Client client = rig.client();
  std::string requests;
  for (int i = 0; i < 50; ++i) requests += "GET /fetchers/f" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  client.send(requests);
  for (int i = 0; i < 50; ++i) REQUIRE(client.read_answer().json()["name"] == "f" + std::to_string(i));
  Client old = rig.client();
  old.send("GET /livez HTTP/1.0\r\n\r\n");
  CHECK(old.read_to_end().find("Connection: close\r\n") != std::string::npos);
}

TEST_CASE("a large answer reaches a client that half-closed after its request") {
  Rig rig;
  Client client = rig.client(4096);
  client.send("GET /channels/huge HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  client.half_close();
  std::this_thread::sleep_for(Millis(300));
  CHECK(client.read_to_end().size() > (8U << 20U));
}

TEST_CASE("a large answer is sent from bytes that all who get it share") {
  Rig rig;
  CHECK(rig.client().get("/channels/huge").body == rig.core.huge->json);
  CHECK(rig.client().get("/channels/huge", "If-None-Match: \"huge\"\r\n").status == 304);
  Client head = rig.client();
  CHECK(head.get("/channels/huge", "", "HEAD").header("Content-Length") == std::to_string(8U << 20U));
  CHECK(head.get("/livez").status == 200);
  std::vector<Client> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(rig.client(4096));
    slow.back().send("GET /channels/huge HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  CHECK(eventually([&] { return rig.core.huge.use_count() == 21; }));
  slow.clear();
  CHECK(eventually([&] { return rig.core.huge.use_count() == 1; }));
}

TEST_CASE("allowed origins may read JSON, others are not told that they may") {
  Rig rig([](ServerOptions& options) { options.origins = {"https://app.example"}; });
  Client client = rig.client();
  const HttpAnswer allowed = client.get("/channels", "Origin: https://app.example\r\n");
  CHECK(allowed.header("Access-Control-Allow-Origin") == "https://app.example");
  CHECK(allowed.header("Vary") == "Origin");
  const HttpAnswer foreign = client.get("/channels", "Origin: https://evil.example\r\n");
  CHECK(foreign.header("Access-Control-Allow-Origin").empty());
  CHECK(foreign.header("Vary") == "Origin");
}

TEST_CASE("a foreign or null Origin gets 403 before the upgrade") {
  Rig rig([](ServerOptions& options) { options.origins = {"https://app.example"}; });
  CHECK(rig.client().upgrade("Origin: https://evil.example\r\n") == 403);
  CHECK(rig.client().upgrade("Origin: null\r\n") == 403);
  CHECK(rig.client().upgrade("Origin: http://localhost:8081\r\n") == 403);
  CHECK(rig.client().upgrade("Origin: http://localhost:8080\r\n") == 101);
  CHECK(rig.client().upgrade("Origin: https://app.example\r\n") == 101);
  CHECK(rig.client().upgrade() == 101);
  CHECK(rig.client().upgrade("", "/channels/news") == 404);
}

TEST_CASE("a head that drips gets 408 five seconds after accept, and delays nobody") {
  Rig rig;
  rig.clock.stop();
  std::vector<Client> slow;
  for (int i = 0; i < 100; ++i) slow.push_back(rig.client());
  for (Client& client : slow) client.send("GET / HT");
  rig.settle();
  rig.clock.forward(Seconds(4));
  std::this_thread::sleep_for(Millis(400));
  for (Client& client : slow) client.send("T");
  rig.clock.forward(Seconds(1));
  for (Client& client : slow) REQUIRE(client.read_answer().status == 408);
  CHECK(slow[0].read_to_end().empty());
  CHECK(slow[0].ended_without_reset());
}

TEST_CASE("a kept-alive connection may rest for a minute, but its next head has five seconds") {
  Rig rig;
  Client resting = rig.client();
  Client dripping = rig.client();
  CHECK(resting.get("/livez").status == 200);
  CHECK(dripping.get("/livez").status == 200);
  rig.clock.forward(Seconds(50));
  std::this_thread::sleep_for(Millis(400));
  CHECK(resting.get("/livez").status == 200);
  dripping.send("GET");
  std::this_thread::sleep_for(Millis(100));
  rig.clock.forward(Seconds(5));
  CHECK(dripping.read_answer().status == 408);
  rig.clock.forward(Seconds(60));
  CHECK(resting.read_to_end().empty());
}

TEST_CASE("empty lines between two requests are no head, and keep no connection") {
  Rig rig;
  rig.clock.stop();
  Client lines = rig.client();
  Client bytes = rig.client();
  for (Client* one : {&lines, &bytes}) CHECK(one->get("/livez").status == 200);
  bytes.send("\r");
  std::this_thread::sleep_for(Millis(100));
  for (int i = 0; i < 20; ++i) {
    rig.clock.forward(Seconds(4));
    lines.send("\r\n");
    bytes.send(i % 2 == 0 ? "\n" : "\r");
    std::this_thread::sleep_for(Millis(100));
  }
  CHECK(lines.read_to_end().empty());
  CHECK(bytes.read_to_end().empty());
  // One who rests meanwhile rests as long as others.
  Client patient = rig.client();
  CHECK(patient.get("/livez").status == 200);
  for (const char* half : {"\r", "\n"}) {
    patient.send(half);
    std::this_thread::sleep_for(Millis(100));
  }
  rig.clock.forward(Seconds(50));
  std::this_thread::sleep_for(Millis(1100));
  CHECK(patient.get("/livez").status == 200);
}

TEST_CASE("over the limits the answer is 503 with Retry-After, and places come back") {
  Rig rig([](ServerOptions& options) { options.connections_per_address = 2; });
  {
    Client first = rig.open();
    Client second = rig.open();
    Client third = rig.client();
    CHECK(third.upgrade() == 503);
    const HttpAnswer refused = rig.client().get("/channels");
    CHECK(refused.status == 503);
    CHECK(refused.header("Retry-After") == "5");
    CHECK(refused.json()["code"] == "unavailable");
    CHECK(rig.client().get("/livez").status == 200);
  }
  CHECK(eventually([&] { return rig.client().get("/fetchers").status == 200; }));

  Rig full([](ServerOptions& options) { options.connections = 1; });
  Client only = full.open();
  CHECK(full.client().get("/channels").status == 503);
}

TEST_CASE("a proxy's connection counts for the client of the request that it carries") {
  const auto limits = std::make_shared<ConnectionLimits>(5, 1);
  const auto take = [&](const char* address, bool proxy) { return ConnectionLimits::take(limits, address, proxy); };
  ConnectionSlot one = take("10.0.0.1", true);
  ConnectionSlot two = take("10.0.0.1", true);
  CHECK_FALSE(two.refused());
  one.move_to("a");
  two.move_to("a");
  CHECK_FALSE(one.refused());
  CHECK(two.refused());
  two.move_to("b");
  CHECK_FALSE(two.refused());
  one.move_to("");
  two.move_to("a");
  CHECK_FALSE(two.refused());
  CHECK_FALSE(take("b", false).refused());
  CHECK(take("a", false).refused());
  one.move_to("a");
  CHECK(one.refused());
  {
    const ConnectionSlot gone = std::move(two);
  }
  one.move_to("a");
  CHECK_FALSE(one.refused());
}

TEST_CASE("the server listens on IPv6, and says why it can't listen") {
  Rig rig([](ServerOptions& options) { options.address = "::1"; });
  CHECK(Client(rig.server->port(), 0, "::1").get("/livez").status == 200);
  ServerOptions options;
  options.address = "::1";
  options.port = rig.server->port();
  Server second(options, real_clock(), Log::none());
  const auto started = second.start(rig.core.feed());
  REQUIRE_FALSE(started);
  CHECK(started.error().find("Address already in use") != std::string::npos);
  options.address = "example.com";
  Server third(options, real_clock(), Log::none());
  CHECK_FALSE(third.start(rig.core.feed()));
}

// The sanitizers need descriptors of their own to look at memory.
#ifndef RESTREAM_SANITIZED
TEST_CASE("without descriptors existing streams go on, nothing spins, and new connections come back at once") {
  Rig rig;
  Client stream = rig.open();
  stream.subscribe("news", R"(,"snapshot":false)");
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  // Room for two connections with both their ends in this process, and for one end of a third.
  int top = 0;
  for (int room = 5; room > 0; ++top)
    if (::fcntl(top, F_GETFD) < 0) --room;
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(top);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
  std::vector<Client> clients;
  for (int i = 0; i < 2; ++i) clients.push_back(rig.open());
  Client third = rig.client();
  const std::clock_t start = std::clock();
  CHECK(third.get("/livez").status == 0);
  std::this_thread::sleep_for(Millis(1000));
  CHECK(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC < 0.2);
  rig.core.publish("news", 1);
  CHECK(stream.read_json()["position"] == at(1));
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  const SteadyTime recovered = std::chrono::steady_clock::now();
  CHECK(rig.client().get("/livez").status == 200);
  CHECK(std::chrono::steady_clock::now() - recovered < Seconds(3));
}
#endif
