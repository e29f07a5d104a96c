// Who may come in, what they may see, and when they have to go.
#include "serve/tokens.hpp"

#include <openssl/evp.h>

#include <catch2/catch.hpp>
#include <thread>

#include "serve_fixture.hpp"

using namespace restream;
using namespace restream::test;

namespace {

TokenEntry entry(const std::string& token, std::vector<std::string> channels = {"*"}) {
  TokenEntry out{.name = "of " + token, .sha256 = {}, .channels = std::move(channels), .expires = {}};
  unsigned size = out.sha256.size();
  EVP_Digest(token.data(), token.size(), out.sha256.data(), &size, EVP_sha256(), nullptr);
  return out;
}

std::string bearer(const std::string& token) { return "Authorization: Bearer " + token + "\r\n"; }

// A server that knows the tokens "open", and "news", which may see the channel news alone.
struct Guarded : Rig {
  Guarded() : Rig([](ServerOptions& options) { options.origins = {"https://app.example"}; }) {
    server->set_tokens({entry("open"), entry("news", {"news"})});
    // The threads run already: what they were handed has its turn before any request.
    CHECK(eventually([&] { return client().get("/channels").status == 401; }));
  }
  Client connected(const std::string& token) {
    Client one = client();
    REQUIRE(one.upgrade(bearer(token)) == 101);
    CHECK(one.read_json()["type"] == "ready");
    return one;
  }
};

}  // namespace

TEST_CASE("a token is found by what it is, and found again only while nothing about it has changed") {
  const Tokens tokens({entry("a"), entry("b", {"x*"})});
  REQUIRE(tokens.find("b"));
  CHECK(tokens.find("b")->entry.name == "of b");
  CHECK(may_see(tokens.find("b")->access, "xyz"));
  CHECK_FALSE(may_see(tokens.find("b")->access, "yz"));
  CHECK_FALSE(tokens.find("c"));
  CHECK_FALSE(tokens.find(""));
  CHECK(Tokens({entry("b", {"x*"})}).find_again(*tokens.find("b")));
  CHECK_FALSE(Tokens({entry("b", {"*"})}).find_again(*tokens.find("b")));
  CHECK_FALSE(Tokens({entry("a")}).find_again(*tokens.find("b")));
}

TEST_CASE("a ticket is good once, for thirty seconds") {
  Tickets tickets;
  const Tokens tokens({entry("a")});
  const SteadyTime start = std::chrono::steady_clock::now();
  const auto ticket = tickets.issue(tokens.find("a"), start);
  REQUIRE(ticket);
  CHECK(ticket->size() == 48);
  CHECK(tickets.issue(tokens.find("a"), start) != ticket);
  CHECK(tickets.redeem(*ticket, start + Seconds(29)) == tokens.find("a"));
  CHECK_FALSE(tickets.redeem(*ticket, start + Seconds(29)));
  CHECK_FALSE(tickets.redeem(*tickets.issue(tokens.find("a"), start), start + Seconds(30)));
  CHECK_FALSE(tickets.redeem("", start));
}

TEST_CASE("a token that takes all the tickets it can leaves the others theirs, until its own are too old") {
  Tickets tickets;
  const SteadyTime start = std::chrono::steady_clock::now();
  std::vector<TokenEntry> entries;
  for (int i = 0; i < 12; ++i) entries.push_back(entry("token-" + std::to_string(i)));
  const Tokens tokens(entries);
  for (int i = 0; i < 1000; ++i) REQUIRE(tickets.issue(tokens.find("token-0"), start));
  CHECK_FALSE(tickets.issue(tokens.find("token-0"), start + Seconds(29)));
  CHECK(tickets.issue(tokens.find("token-1"), start + Seconds(29)));
  CHECK(tickets.issue(tokens.find("token-0"), start + Seconds(31)));
  // All together there are 10,000.
  std::size_t issued = 0;
  for (int round = 0; round < 1000; ++round)
    for (int i = 0; i < 12; ++i)
      if (tickets.issue(tokens.find("token-" + std::to_string(i)), start + Seconds(40))) ++issued;
  CHECK(issued < 10000);
  CHECK_FALSE(tickets.issue(tokens.find("token-11"), start + Seconds(40)));
}

TEST_CASE("without a token everything but health is 401") {
  Guarded rig;
  Client client = rig.client();
  CHECK(client.get("/livez").status == 200);
  CHECK(client.get("/readyz").status == 200);
  for (const char* path :
       {"/", "/channels", "/fetchers", "/channels/news", "/events?channel=news", "/nothing", "/viewer.js"}) {
    INFO(path);
    const HttpAnswer answer = client.get(path);
    CHECK(answer.status == 401);
    CHECK(answer.header("WWW-Authenticate") == R"(Bearer realm="restream")");
    CHECK(answer.json()["code"] == "unauthorized");
  }
  CHECK(client.get("/tickets", "Content-Length: 0\r\n", "POST").status == 401);
  CHECK(client.stream("/channels/news").status == 401);
  CHECK(rig.client().upgrade() == 401);
  const HttpAnswer wrong = client.get("/channels", bearer("wrong"));
  CHECK(wrong.status == 401);
  CHECK(wrong.header("WWW-Authenticate").find("invalid_token") != std::string::npos);
  CHECK(client.get("/channels", "Authorization: Basic b3Blbjo=\r\n").status == 401);
  CHECK(client.get("/channels?_token=open").status == 401);
  CHECK(client.get("/channels", bearer("open")).status == 200);
  CHECK(client.get("/channels", "authorization: bearer  open\r\n").status == 200);
}

TEST_CASE("a browser's WebSocket shows its token as a subprotocol, which is never echoed") {
  Guarded rig;
  const auto protocol = [&](const std::string& offered) {
    return rig.client().get("/channels",
                            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " +
                                offered + "\r\n");
  };
  CHECK(protocol("restream").status == 401);
  CHECK(protocol("bearer.wrong, restream").status == 401);
  const HttpAnswer answer = protocol("bearer.open, restream");
  CHECK(answer.status == 101);
  CHECK(answer.header("Sec-WebSocket-Protocol") == "restream");
  CHECK(protocol("restream,bearer.open").header("Sec-WebSocket-Protocol") == "restream");
  const HttpAnswer alone = protocol("bearer.open");
  CHECK(alone.status == 101);
  CHECK(alone.head.find("open") == std::string::npos);
}

TEST_CASE("a token sees its channels alone") {
  Guarded rig;
  Client socket = rig.connected("news");
  CHECK(socket.subscribe("news")["type"] == "subscribed");
  CHECK(socket.read_json()["type"] == "snapshot");
  const auto error = socket.subscribe("other");
  CHECK(error["code"] == "unauthorized");
  CHECK(rig.client().stream("/channels/news", bearer("news")).status == 200);
  const HttpAnswer refused = rig.client().stream("/channels/other", bearer("news"));
  CHECK(refused.status == 403);
  CHECK(refused.json()["code"] == "unauthorized");
}

TEST_CASE("a ticket opens one event stream, of its token's channels") {
  Guarded rig;
  Client client = rig.client();
  const auto ticket = [&] {
    const HttpAnswer answer = client.get("/tickets", bearer("news") + "Content-Length: 0\r\n", "POST");
    CHECK(answer.status == 201);
    CHECK(answer.json()["expires_in"] == 30);
    CHECK(answer.header("Cache-Control") == "no-store");
    return answer.json()["ticket"].get<std::string>();
  };
  const std::string first = ticket();
  CHECK(rig.client().stream("/channels/news?_ticket=" + first).status == 200);
  CHECK(rig.client().stream("/channels/news?_ticket=" + first).status == 401);
  CHECK(rig.client().get("/events?channel=news&_ticket=" + ticket()).status == 200);
  CHECK(rig.client().stream("/channels/other?_ticket=" + ticket()).status == 403);
  // For streams alone.
  CHECK(rig.client().get("/channels/news?_ticket=" + ticket()).status == 401);
  const std::string old = ticket();
  rig.clock.forward(Seconds(30));
  CHECK(rig.client().stream("/channels/news?_ticket=" + old).status == 401);
  // A ticket is no better than its token.
  const std::string orphan = ticket();
  rig.server->set_tokens({entry("open")});
  CHECK(eventually([&] { return client.get("/channels", bearer("news")).status == 401; }));
  CHECK(rig.client().stream("/channels/news?_ticket=" + orphan).status == 401);
  CHECK(client.get("/tickets", bearer("open")).status == 405);
}

TEST_CASE("a token that expires ends what it opened") {
  Rig rig;
  TokenEntry soon = entry("soon");
  soon.expires = std::chrono::system_clock::now() + Millis(4000);
  rig.server->set_tokens({soon});
  Client socket = rig.client();
  REQUIRE(eventually([&] { return rig.client().get("/fetchers").status == 401; }));
  REQUIRE(socket.upgrade(bearer("soon")) == 101);
  socket.read_json();
  socket.subscribe("news", R"(,"snapshot":false)");
  Client stream = rig.client();
  REQUIRE(stream.stream("/channels/news?_snapshot=false", bearer("soon")).status == 200);
  CHECK(stream.read_event().event == "subscribed");
  const Frame close = socket.read_frame();
  CHECK(close.code() == 1008);
  CHECK(close.reason() == "expired");
  CHECK(stream.read_event().ended);
  CHECK(eventually([&] { return rig.core.attached() == 0; }));
  const HttpAnswer late = rig.client().get("/channels", bearer("soon"));
  CHECK(late.status == 401);
  CHECK(late.json()["message"].get<std::string>().find("expired") != std::string::npos);
}

TEST_CASE("tokens that are read anew end the connections of those that are gone, and no others") {
  Guarded rig;
  Client stays = rig.connected("open");
  Client goes = rig.connected("news");
  rig.server->set_tokens({entry("new"), entry("open")});
  const Frame close = goes.read_frame();
  CHECK(close.code() == 1008);
  CHECK(close.reason() == "revoked");
  CHECK(stays.subscribe("news")["type"] == "subscribed");
  CHECK(rig.client().get("/channels", bearer("new")).status == 200);
}

TEST_CASE("a browser's question what it may send is answered without a token, to allowed origins") {
  Guarded rig;
  const std::string asks = "Access-Control-Request-Method: POST\r\nOrigin: https://";
  const HttpAnswer friendly = rig.client().get("/tickets", asks + "app.example\r\n", "OPTIONS");
  CHECK(friendly.status == 204);
  CHECK(friendly.header("Access-Control-Allow-Origin") == "https://app.example");
  CHECK(friendly.header("Access-Control-Allow-Headers").find("Authorization") != std::string::npos);
  CHECK(friendly.header("Content-Length").empty());
  CHECK(rig.client().get("/tickets", asks + "evil.example\r\n", "OPTIONS").status == 403);
}
