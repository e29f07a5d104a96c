// What the C++ face of the SDK does for every plugin, seen through the plugins.
#include <catch2/catch.hpp>
#include <cstring>

#include "plugin_host.hpp"

using namespace plugin_test;

namespace {

const Plugin& list() {
  static const Plugin plugin(TEST_BUILD "/tests/plugins/list.so");
  return plugin;
}

const Json request = fetch_request("list", {{"name", "a"}}, Json::object());

Outcome poll(const std::string& body) { return list().fetch(request, always({200, body, {}, RESTREAM_OK, ""})); }

std::string nested(std::size_t depth) {
  return R"({"items": )" + std::string(depth, '[') + std::string(depth, ']') + "}";
}

}  // namespace

TEST_CASE("every plugin carries the descriptor of this SDK") {
  for (const char* path : {"/lib/restream/plugins/nyt-top.so", "/lib/restream/plugins/twitter-status.so",
                           "/tests/plugins/list.so", "/tests/plugins/nats-connections.so"}) {
    const Plugin plugin(TEST_BUILD + std::string(path));
    const restream_fetcher_descriptor& descriptor = plugin.descriptor();
    CHECK(std::memcmp(descriptor.magic, "restream", 8) == 0);
    CHECK(descriptor.size == sizeof descriptor);
    CHECK(descriptor.abi_major == RESTREAM_ABI_MAJOR);
    CHECK(descriptor.abi_minor == RESTREAM_ABI_MINOR);
    CHECK(descriptor.flags == 0);
    CHECK(std::string(descriptor.sdk_version) == RESTREAM_SDK_VERSION);
    // The file's name is the fetcher's.
    CHECK(std::string(path).ends_with("/" + plugin.metadata().at("name").get<std::string>() + ".so"));
  }
}

TEST_CASE("an answer nested to the limit is read, one beyond it fails the call and not the process") {
  CHECK(poll(nested(199)).code == RESTREAM_OK);
  for (const std::size_t depth : {std::size_t{200}, std::size_t{5'000'000}}) {
    const Outcome outcome = poll(nested(depth));
    CHECK(outcome.code == RESTREAM_FAILED);
    CHECK(outcome.log == std::vector<std::string>{"the API's answer is nested too deeply"});
  }
}

TEST_CASE("brackets in strings are no nesting, and an escaped quote does not end a string") {
  const std::string body = R"({"items": [{"id": "\")" + std::string(1000, '[') + R"("}]})";
  CHECK(poll(body).code == RESTREAM_OK);
}

TEST_CASE("an answer that is not JSON is told by size and type, with nothing of its text") {
  const Outcome outcome =
      list().fetch(request, always({200, R"({"items": secret)", {{"content-type", "text/plain"}}, RESTREAM_OK, ""}));
  CHECK(outcome.code == RESTREAM_FAILED);
  CHECK(outcome.log ==
        std::vector<std::string>{"the API's answer of 16 bytes (text/plain) is not JSON, as byte 11 shows"});
}

TEST_CASE("a status that is no success becomes a failure, and an odd one a 502") {
  for (const auto& [status, told] : {std::pair{404, 404}, {500, 500}, {599, 599}, {304, 502}, {302, 502}, {999, 502}}) {
    const Outcome outcome = list().fetch(request, always({status, "{}", {}, RESTREAM_OK, ""}));
    REQUIRE(outcome.code == RESTREAM_OK);
    CHECK(outcome.json().at("status_code") == told);
    CHECK(outcome.json().at("result") == "the API answered with status " + std::to_string(status));
  }
}

TEST_CASE("a result that the host finds too large is told as such") {
  const Outcome outcome = list().fetch(request, always({200, R"({"items": ["0123456789"]})", {}, RESTREAM_OK, ""}), 20);
  CHECK(outcome.code == RESTREAM_TOO_LARGE);
}

TEST_CASE("a request without what the plugin needs fails the call and not the process") {
  CHECK(list().fetch(Json::object(), always({})).code == RESTREAM_FAILED);
  CHECK(list().fetch(fetch_request("list", Json::object(), Json::object()), always({})).code == RESTREAM_FAILED);
}
