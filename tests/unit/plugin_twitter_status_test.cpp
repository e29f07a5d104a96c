// twitter-status, with recorded samples for answers.
#include <algorithm>
#include <catch2/catch.hpp>
#include <ctime>
#include <regex>
#include <set>
#include <thread>

#include "plugin_host.hpp"
#include "twitter-status/oauth1.hpp"

using namespace plugin_test;

namespace {

const std::string id = "1460323737035677698";
const Json keys{
    {"consumer-key", "ck"}, {"consumer-secret", "c&s"}, {"access-token", "at"}, {"access-token-secret", "a t s"}};

const Plugin& twitter_status() {
  static const Plugin plugin(TEST_BUILD "/lib/restream/plugins/twitter-status.so");
  return plugin;
}

std::string sample(const std::string& name) { return read_file(TEST_SOURCE "/plugins/twitter-status/samples/" + name); }

Outcome poll(const Responder& responder) {
  return twitter_status().fetch(fetch_request("twitter-status", {{"id", id}}, keys), responder);
}

Outcome poll(int status, const std::string& body) { return poll(always({status, body, {}, RESTREAM_OK, ""})); }

std::string authorization_of(const Outcome& outcome) {
  const HeaderList& headers = outcome.requests.at(0).headers;
  return headers.size() == 1 && headers[0].first == "authorization" ? headers[0].second : "";
}

std::string field(const std::string& header, const std::string& name) {
  std::smatch match;
  return std::regex_search(header, match, std::regex(name + "=\"([^\"]*)\"")) ? match[1].str() : "";
}

}  // namespace

TEST_CASE("twitter-status says what it fetches") {
  const Json metadata = twitter_status().metadata();
  CHECK(metadata.at("name") == "twitter-status");
  CHECK(metadata.at("id_field") == "id");
  CHECK(metadata.at("api_url") == "https://api.twitter.com/2/tweets/{}");
  CHECK(metadata.at("keys") == Json{"consumer-key", "consumer-secret", "access-token", "access-token-secret"});
  CHECK(metadata.at("complete") == true);
  CHECK(metadata.at("poll_interval").is_number_unsigned());
  CHECK(metadata.at("quota") == Json{{"calls", 60}, {"per", "hour"}, {"shared_key", "access-token"}});
  CHECK(metadata.at("params").at("id").at("required") == true);
  const std::regex pattern(metadata.at("params").at("id").at("pattern").get<std::string>());
  CHECK(std::regex_match(id, pattern));
  for (const char* bad : {"", "a", "1/2", "..", "12345678901234567890", "1?x=1"})
    CHECK_FALSE(std::regex_match(bad, pattern));
}

TEST_CASE("twitter-status asks for its tweet and signs what it asks") {
  const std::int64_t before = std::time(nullptr);
  const Outcome outcome = poll(200, sample("tweet.json"));
  const std::int64_t after = std::time(nullptr);
  REQUIRE(outcome.requests.size() == 1);
  CHECK(outcome.requests[0].method == "GET");
  CHECK(outcome.requests[0].url ==
        "https://api.twitter.com/2/tweets/" + id + "?tweet.fields=author_id%2Ccreated_at%2Clang%2Cpublic_metrics");
  const std::string header = authorization_of(outcome);
  const std::int64_t timestamp = std::stoll(field(header, "oauth_timestamp"));
  CHECK(timestamp >= before);
  CHECK(timestamp <= after);
  const std::string nonce = field(header, "oauth_nonce");
  CHECK(nonce.size() == 32);
  CHECK(header == oauth1::authorization("GET", "https://api.twitter.com/2/tweets/" + id,
                                        {{"tweet.fields", "author_id,created_at,lang,public_metrics"}},
                                        {"ck", "c&s", "at", "a t s"}, timestamp, nonce));
}

TEST_CASE("twitter-status never uses a nonce twice, whatever the thread") {
  std::vector<std::vector<std::string>> seen(4);
  std::vector<std::jthread> threads;
  for (std::vector<std::string>& mine : seen) {
    threads.emplace_back([&mine] {
      for (int i = 0; i < 50; ++i) {
        mine.push_back(field(authorization_of(poll(always({200, R"({"data": {"id": "1"}})", {}, RESTREAM_OK, ""}))),
                             "oauth_nonce"));
      }
    });
  }
  threads.clear();
  std::set<std::string> all;
  for (const std::vector<std::string>& mine : seen) all.insert(mine.begin(), mine.end());
  CHECK(all.size() == 200);
  CHECK_FALSE(all.contains(""));
}

TEST_CASE("twitter-status hands back the tweet as it is") {
  const Outcome outcome = poll(200, sample("tweet.json"));
  REQUIRE(outcome.code == RESTREAM_OK);
  CHECK(outcome.json().at("status_code") == 200);
  CHECK(outcome.json().at("result") == Json::array({Json::parse(sample("tweet.json")).at("data")}));
}

TEST_CASE("twitter-status keeps a tweet that comes with errors about parts of it") {
  Json body = Json::parse(sample("tweet.json"));
  body["errors"] = Json::parse(sample("deleted.json")).at("errors");
  CHECK(poll(200, body.dump()).json().at("result").size() == 1);
}

TEST_CASE("twitter-status takes a tweet that does not exist for an empty list") {
  const Outcome outcome = poll(200, sample("deleted.json"));
  REQUIRE(outcome.code == RESTREAM_OK);
  CHECK(outcome.json() == Json{{"status_code", 200}, {"result", Json::array()}});
}

TEST_CASE("twitter-status fails, and removes nothing, when the API does not show the tweet for another reason") {
  const Outcome hidden = poll(200, sample("not-authorized.json"));
  REQUIRE(hidden.code == RESTREAM_OK);
  CHECK(hidden.json().at("status_code") == 403);
  CHECK(hidden.json().at("result").get<std::string>().find("not authorized to see the Tweet") != std::string::npos);

  Json mixed = Json::parse(sample("deleted.json"));
  mixed["errors"].push_back({{"title", "Internal"}, {"type", "about:blank"}});
  CHECK(poll(200, mixed.dump()).json().at("status_code") == 502);
  CHECK(poll(200, R"({"errors": []})").json().at("status_code") == 502);
  CHECK(poll(200, R"({"errors": [{"title": "Odd"}]})").json().at("result") == "the API answered: Odd");
  CHECK(poll(200, R"({})").code == RESTREAM_FAILED);
  CHECK(poll(200, R"({"errors": ["?"]})").code == RESTREAM_FAILED);
}

TEST_CASE("twitter-status tells a refused signature and a rate limit by their status") {
  const auto [status, file] =
      GENERATE(table<int, std::string>({{401, "unauthorized.json"}, {429, "rate-limited.json"}}));
  const Outcome outcome = poll(status, sample(file));
  REQUIRE(outcome.code == RESTREAM_OK);
  CHECK(outcome.json().at("status_code") == status);
  CHECK(outcome.json().at("result").is_string());
}

TEST_CASE("twitter-status fails on HTML, and passes on why there was no answer") {
  CHECK(poll(200, "<!DOCTYPE html><html></html>").code == RESTREAM_FAILED);
  CHECK(poll(always({0, "", {}, RESTREAM_TIMEOUT, "timed out"})).code == RESTREAM_TIMEOUT);
  CHECK(poll(always({0, "", {}, RESTREAM_UNREACHABLE, "no route"})).log == std::vector<std::string>{"no route"});
}
