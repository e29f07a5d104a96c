// The fetchers that only tests use.
#include <algorithm>
#include <catch2/catch.hpp>

#include "plugin_host.hpp"

using namespace plugin_test;

TEST_CASE("list and list-complete differ in their name and in being complete") {
  const Plugin list(TEST_BUILD "/tests/plugins/list.so");
  const Plugin complete(TEST_BUILD "/tests/plugins/list-complete.so");
  Json one = list.metadata();
  Json other = complete.metadata();
  CHECK(one.at("name") == "list");
  CHECK(one.at("complete") == false);
  CHECK(one.at("poll_interval") == 1);
  CHECK(one.at("keys") == Json::array());
  CHECK(other.at("name") == "list-complete");
  CHECK(other.at("complete") == true);
  other["name"] = "list";
  other["complete"] = false;
  CHECK(one == other);
}

TEST_CASE("list percent-encodes the name and hands back the items") {
  const Plugin list(TEST_BUILD "/tests/plugins/list.so");
  const Outcome outcome = list.fetch(fetch_request("list", {{"name", "a/../b ü?x#y"}}, Json::object()),
                                     always({200, R"({"items": [{"id": 1}, {"id": "b"}]})", {}, RESTREAM_OK, ""}));
  CHECK(outcome.requests.at(0).url == "http://127.0.0.1:9/list/a%2F..%2Fb%20%C3%BC%3Fx%23y");
  CHECK(outcome.json().at("result") == Json::parse(R"([{"id": 1}, {"id": "b"}])"));
}

TEST_CASE("nats-connections reads a real answer of nats-server and ignores only what exists there") {
  const Plugin nats(TEST_BUILD "/tests/plugins/nats-connections.so");
  const std::string body = read_file(TEST_SOURCE "/tests/plugins/samples/connz.json");
  const Outcome outcome = nats.fetch(fetch_request("nats-connections", Json::object(), Json::object()),
                                     always({200, body, {}, RESTREAM_OK, ""}));
  CHECK(outcome.requests.at(0).url == "http://127.0.0.1:8222/connz?limit=65536");
  const Json items = outcome.json().at("result");
  REQUIRE(items.size() == 1);
  const Json metadata = nats.metadata();
  CHECK(items[0].at(metadata.at("id_field").get<std::string>()) == 4);
  CHECK(metadata.at("complete") == true);
  for (const Json& pointer : metadata.at("ignore"))
    CHECK(items[0].contains(Json::json_pointer(pointer.get<std::string>())));
  for (const char* news : {"/in_msgs", "/out_msgs", "/subscriptions"}) {
    CHECK(items[0].contains(Json::json_pointer(news)));
    CHECK(std::ranges::count(metadata.at("ignore"), Json(news)) == 0);
  }
}
