// nyt-top, with recorded samples for answers.
#include <algorithm>
#include <catch2/catch.hpp>

#include "plugin_host.hpp"

using namespace plugin_test;

namespace {

const Plugin& nyt_top() {
  static const Plugin plugin(TEST_BUILD "/lib/restream/plugins/nyt-top.so");
  return plugin;
}

std::string sample(const std::string& name) { return read_file(TEST_SOURCE "/plugins/nyt-top/samples/" + name); }

Outcome poll(const std::string& section, const Responder& responder, const std::string& key = "k&y/1") {
  return nyt_top().fetch(fetch_request("nyt-top", {{"section", section}}, {{"api-key", key}}), responder);
}

}  // namespace

TEST_CASE("nyt-top says what it fetches") {
  const Json metadata = nyt_top().metadata();
  CHECK(metadata.at("name") == "nyt-top");
  CHECK(metadata.at("description") == "New York Times top stories");
  CHECK(metadata.at("id_field") == "uri");
  CHECK(metadata.at("api_url") == "https://api.nytimes.com/svc/topstories/v2/{}.json");
  CHECK(metadata.at("doc_url").get<std::string>().starts_with("https://developer.nytimes.com/"));
  CHECK(metadata.at("keys") == Json::array({"api-key"}));
  CHECK(metadata.at("poll_interval") == 100);
  CHECK(metadata.at("quota") == Json{{"calls", 500}, {"per", "day"}, {"shared_key", "api-key"}});
  CHECK_FALSE(metadata.value("complete", false));
  const Json section = metadata.at("params").at("section");
  CHECK(section.at("default") == "home");
  CHECK(section.at("enum").size() == 26);
  for (const char* name : {"home", "books/review", "t-magazine", "world"}) {
    CHECK(std::ranges::count(section.at("enum"), Json(name)) == 1);
  }
}

TEST_CASE("nyt-top asks for its section with the key in the query") {
  const Outcome outcome = poll("world", always({200, sample("world.json"), {}, RESTREAM_OK, ""}));
  REQUIRE(outcome.requests.size() == 1);
  CHECK(outcome.requests[0].method == "GET");
  CHECK(outcome.requests[0].url == "https://api.nytimes.com/svc/topstories/v2/world.json?api-key=k%26y%2F1");
  CHECK(outcome.requests[0].headers.empty());
  CHECK(outcome.requests[0].body.empty());
}

TEST_CASE("nyt-top hands back the stories as they are, in the API's order") {
  const Outcome outcome = poll("world", always({200, sample("world.json"), {}, RESTREAM_OK, ""}));
  REQUIRE(outcome.code == RESTREAM_OK);
  const Json told = outcome.json();
  CHECK(told.at("status_code") == 200);
  CHECK(told.at("result") == Json::parse(sample("world.json")).at("results"));
  REQUIRE(told.at("result").size() == 3);
  for (const Json& item : told.at("result")) CHECK(item.at("uri").get<std::string>().starts_with("nyt://"));
}

TEST_CASE("nyt-top takes a section with a slash for two segments of the path") {
  const Outcome outcome = poll("books/review", always({200, sample("books-review.json"), {}, RESTREAM_OK, ""}));
  CHECK(outcome.requests.at(0).url.starts_with("https://api.nytimes.com/svc/topstories/v2/books/review.json?"));
  CHECK(outcome.json().at("result").size() == 1);
}

TEST_CASE("nyt-top tells a refused key and a rate limit by their status") {
  const auto [status, file] =
      GENERATE(table<int, std::string>({{401, "unauthorized.json"}, {429, "rate-limited.json"}}));
  const Outcome outcome = poll("home", always({status, sample(file), {}, RESTREAM_OK, ""}));
  REQUIRE(outcome.code == RESTREAM_OK);
  CHECK(outcome.json().at("status_code") == status);
  CHECK(outcome.json().at("result").is_string());
}

TEST_CASE("nyt-top fails on a page of HTML, and neither the log nor the result names the key") {
  const Outcome outcome =
      poll("home", always({200, sample("page.html"), {{"content-type", "text/html"}}, RESTREAM_OK, ""}), "sEcReT-kEy");
  CHECK(outcome.code == RESTREAM_FAILED);
  CHECK(outcome.text.empty());
  REQUIRE(outcome.log.size() == 1);
  CHECK(outcome.log[0].find("text/html") != std::string::npos);
  CHECK(outcome.log[0].find("sEcReT") == std::string::npos);
}

TEST_CASE("nyt-top fails on a truncated answer and on JSON of another shape") {
  const std::string whole = sample("world.json");
  for (const std::string& body :
       {whole.substr(0, whole.size() / 2), std::string("{}"), std::string("[]"), std::string("null"), std::string()}) {
    CAPTURE(body.size());
    const Outcome outcome = poll("home", always({200, body, {}, RESTREAM_OK, ""}));
    CHECK(outcome.code == RESTREAM_FAILED);
    CHECK(outcome.text.empty());
  }
}

TEST_CASE("nyt-top passes on why there was no answer") {
  const std::int32_t code = GENERATE(as<std::int32_t>{}, RESTREAM_REFUSED, RESTREAM_UNREACHABLE, RESTREAM_TIMEOUT,
                                     RESTREAM_TOO_LARGE, RESTREAM_CANCELLED, 99);
  const Outcome outcome = poll("home", always({0, "", {}, code, "no answer came"}));
  CHECK(outcome.code == code);
  CHECK(outcome.text.empty());
  CHECK(outcome.log == std::vector<std::string>{"no answer came"});
}
