#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "fetch/metadata_parser.hpp"
#include "fetch/verdicts.hpp"

using namespace restream;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

json good() {
  return {{"name", "nyt-top"},      {"description", "d"},
          {"id_field", "uri"},      {"api_url", "https://api.nytimes.com/svc/{}.json"},
          {"doc_url", "https://x"}, {"keys", {"api-key"}},
          {"poll_interval", 100}};
}

std::string refusal(const json& metadata) {
  const auto parsed = parse_metadata(metadata.dump());
  return parsed ? "accepted" : parsed.error();
}

json with(const char* field, json value) {
  json metadata = good();
  metadata[field] = std::move(value);
  return metadata;
}

}  // namespace

TEST_CASE("the seven fields are enough, and the others have sane defaults") {
  const auto metadata = parse_metadata(good().dump());
  REQUIRE(metadata);
  CHECK(metadata->poll_interval == 100s);
  CHECK(metadata->keys == std::vector<std::string>{"api-key"});
  CHECK_FALSE(metadata->complete);
  CHECK_FALSE(metadata->quota);
  CHECK(metadata->params.empty());
}

TEST_CASE("each of the seven fields is needed, and a refusal names it") {
  for (const char* field : {"name", "description", "id_field", "api_url", "doc_url", "keys", "poll_interval"}) {
    json metadata = good();
    metadata.erase(field);
    CHECK(refusal(metadata).find("'" + std::string(field) + "'") != std::string::npos);
  }
}

TEST_CASE("params are read with their defaults, patterns and enums, numbers as strings") {
  const auto metadata = parse_metadata(with("params", {{"page", {{"default", 1}, {"enum", {1, 2}}}},
                                                       {"id", {{"required", true}, {"pattern", "[0-9]+"}}}})
                                           .dump());
  REQUIRE(metadata);
  REQUIRE(metadata->params.size() == 2);
  CHECK(metadata->params[0].required);
  CHECK(metadata->params[1].default_value == "1");
  CHECK(metadata->params[1].allowed == std::vector<std::string>{"1", "2"});
}

TEST_CASE("what makes no sense is refused by name") {
  CHECK(refusal(with("name", "NYT Top")).find("'name'") != std::string::npos);
  CHECK(refusal(with("poll_interval", 0)).find("'poll_interval'") != std::string::npos);
  CHECK(refusal(with("poll_interval", "100")).find("'poll_interval'") != std::string::npos);
  CHECK(refusal(with("keys", "api-key")).find("'keys'") != std::string::npos);
  CHECK(refusal(with("params", {{"_since", json::object()}})).find("'params._since'") != std::string::npos);
  CHECK(refusal(with("params", {{"id", {{"pattern", "("}}}})).find("'params.id.pattern'") != std::string::npos);
  CHECK(refusal(with("ignore", {"not/a/pointer"})).find("'ignore'") != std::string::npos);
  CHECK(refusal(with("quota", {{"calls", 5}, {"per", "week"}})).find("'quota.per'") != std::string::npos);
  CHECK(refusal(json::array()) == "metadata must be a JSON object");
  CHECK(parse_metadata("{").error() == "metadata is not JSON");
}

TEST_CASE("metadata that is nested deeper than 64 levels is refused, however deep it is") {
  const auto nested = [](std::size_t levels) {
    std::string text = good().dump();
    text.back() = ',';
    return text + R"("more":)" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
  };
  CHECK(parse_metadata(nested(64)));
  for (const std::size_t levels : {std::size_t{65}, std::size_t{65'000}, std::size_t{130'000}}) {
    const auto parsed = parse_metadata(nested(levels));
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error() == "metadata is nested deeper than 64 levels");
    CHECK(version_in(nested(levels)).empty());
  }
}

TEST_CASE("metadata may declare 64 params, and no more") {
  json params = json::object();
  for (int i = 0; i < 64; ++i) params["p" + std::to_string(i)] = json::object();
  CHECK(refusal(with("params", params)) == "accepted");
  params["one-more"] = json::object();
  CHECK(refusal(with("params", params)) == "metadata field 'params' must be an object of at most 64 params");
}

TEST_CASE("an API's answer is called by the state and reason that subscribers know") {
  CHECK(failure_of_status(429, "", {}, {}).state == State::limited);
  CHECK(failure_of_status(429, "", {}, {}).reason == Reason::rate_limited);
  CHECK(failure_of_status(401, "", {}, {}).reason == Reason::unauthorized);
  CHECK(failure_of_status(403, "", {}, {}).reason == Reason::unauthorized);
  CHECK(failure_of_status(500, "", {}, {}).reason == Reason::upstream_error);
  CHECK(failure_of_status(503, "", {}, {}).reason == Reason::upstream_error);
  Hints hints;
  hints.retry_after = 5s;
  CHECK(failure_of_status(503, "", hints, {}).reason == Reason::rate_limited);
}

TEST_CASE("a reply without an answer is called by what the daemon saw of its requests") {
  PluginReply reply;
  reply.kind = PluginReply::Kind::returned;
  reply.code = 1;
  CHECK(failure_of_reply(reply).reason == Reason::bad_result);
  reply.http_problem = HttpProblem::timeout;
  CHECK(failure_of_reply(reply).reason == Reason::timeout);
  reply.http_problem = HttpProblem::unreachable;
  CHECK(failure_of_reply(reply).reason == Reason::unreachable);
  reply.http_problem = HttpProblem::too_large;
  CHECK(failure_of_reply(reply).reason == Reason::bad_result);
  reply.kind = PluginReply::Kind::timed_out;
  CHECK(failure_of_reply(reply).reason == Reason::plugin_timeout);
  reply.kind = PluginReply::Kind::crashed;
  CHECK(failure_of_reply(reply).reason == Reason::plugin_crashed);
}
