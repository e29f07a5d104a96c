// Recordings: what is kept, what is cut out, and which exchange answers a request.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tool/recording.hpp"

using namespace restream;
using namespace restream::tool;
using nlohmann::json;

namespace {

Exchange exchange(const std::string& url, const std::string& body, int status = 200) {
  HttpRequest request;
  request.url = url;
  return {.request = request,
          .result = HttpResponse{.status = status, .headers = {}, .body = body, .requests = 1},
          .time = {}};
}

Recording recording_of(std::vector<Exchange> exchanges) {
  return {.fetcher = "stars", .params = {{"of", "a"}}, .recorded = "", .exchanges = std::move(exchanges)};
}

Recording read(const std::string& text) {
  auto read = parse_recording(text);
  if (!read) FAIL(read.error());
  return *read;
}

std::string problem(const std::string& text) {
  const auto read = parse_recording(text);
  REQUIRE_FALSE(read.has_value());
  return read.error();
}

HttpRequest ask(const std::string& url, const std::string& body = {}) {
  HttpRequest request;
  request.url = url;
  request.body = body;
  return request;
}

}  // namespace

TEST_CASE("what is written is read again, byte for byte") {
  const std::string binary = "\xFF\xFE\x00\x01 bytes";
  for (const std::string& body :
       {std::string(), std::string(R"({"a":1})"), std::string("{\"a\": 1.10,\n \"b\": 12345678901234567890123}"),
        std::string("<html>ä</html>"), std::string(R"([1,2.50])"), std::string("\"text\""), binary, std::string("\xFF"),
        std::string("\xFF\xFE")}) {
    Exchange one = exchange("https://api.example.com/x?y=1", body);
    one.request.method = "POST";
    one.request.headers = {{"accept", "application/json"}, {"x-twice", "1"}, {"x-twice", "2"}};
    one.request.body = "asked with this";
    one.result->headers = {{"etag", "\"abc\""}};
    const Recording again = read(to_json(recording_of({one})));
    CHECK(again.fetcher == "stars");
    CHECK(again.params == Params{{"of", "a"}});
    REQUIRE(again.exchanges.size() == 1);
    const Exchange& same = again.exchanges.front();
    CHECK(same.request.method == "POST");
    CHECK(same.request.url == one.request.url);
    CHECK(same.request.headers == one.request.headers);
    CHECK(same.request.body == one.request.body);
    REQUIRE(same.result.has_value());
    CHECK(same.result->body == body);
    CHECK(same.result->headers == one.result->headers);
  }
}

TEST_CASE("a request that was not answered is kept with its problem") {
  Exchange one = exchange("https://api.example.com/", "");
  one.result = std::unexpected(HttpError{.problem = HttpProblem::timeout, .message = "too slow", .requests = 1});
  const Recording again = read(to_json(recording_of({one})));
  REQUIRE_FALSE(again.exchanges.at(0).result.has_value());
  CHECK(again.exchanges.at(0).result.error().problem == HttpProblem::timeout);
  CHECK(again.exchanges.at(0).result.error().message == "too slow");
}

TEST_CASE("JSON bodies that an API writes without spaces can be read and mended by people") {
  const json file = json::parse(to_json(recording_of({exchange("https://a.example/", R"({"items":[1,2]})")})));
  CHECK(file.at("exchanges").at(0).at("response").at("body_json") == json::parse(R"({"items":[1,2]})"));
}

TEST_CASE("a body that is nested absurdly deep is kept as text, and a recording that is so itself is refused") {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  const std::string written = to_json(recording_of({exchange("https://api.example.com/", deep)}));
  CHECK((read(written).exchanges.at(0).result->body == deep));
  std::string as_json = written;
  as_json.replace(as_json.find('"' + deep + '"'), deep.size() + 2, deep);
  as_json.replace(as_json.find("\"body\""), 6, "\"body_json\"");
  CHECK_THAT(problem(as_json), Catch::Contains("nested too deeply"));
}

TEST_CASE("a body that is nested as deep as the SDK reads it is recorded in a way that can be read again") {
  const std::string deep = std::string(200, '[') + std::string(200, ']');
  const std::string written = to_json(recording_of({exchange("https://api.example.com/", deep)}));
  CHECK((read(written).exchanges.at(0).result->body == deep));
}

TEST_CASE("keys are cut out of URLs, headers and bodies, in every form, and proofs of identity wholly") {
  const Redactor redactor({"pa/ss word+1"});
  Exchange one = exchange("https://a.example/?k=pa%2Fss%20word%2B1&k2=pa/ss+word%2B1", "echo: pa/ss word+1");
  one.request.headers = {{"Authorization", "Bearer something derived"},
                         {"x-basic", "Basic dXNlcjpwYS9zcyB3b3JkKzE="},  // user:pa/ss word+1
                         {"accept", "text/plain"}};
  one.request.body = R"({"key": "pa\/ss word+1"})";
  one.result->headers = {{"set-cookie", "session=1"}, {"x-echo", "pa/ss word+1"}};
  const std::string text = to_json(recording_of({redacted(one, redactor)}));
  CHECK(redactor.redact(text) == text);
  for (const char* gone : {"pa/ss", "pa%2Fss", "pa\\/ss", "something derived", "session=1", "dXNlcjpwYS9zcyB3b3JkKzE"})
    CHECK(text.find(gone) == text.npos);
  CHECK(text.find("text/plain") != text.npos);
}

TEST_CASE("a request is answered by its like, in order, and by the last of them for ever after") {
  const Recording recording =
      recording_of({exchange("https://a.example/list", "1"), exchange("https://a.example/other", "x"),
                    exchange("https://a.example/list", "2")});
  std::vector<bool> used(3);
  const auto next = [&](const std::string& url) {
    const auto found = find_exchange(recording, used, ask(url));
    if (found) used[*found] = true;
    return found;
  };
  CHECK(next("https://a.example/list") == 0);
  CHECK(next("https://a.example/list") == 2);
  CHECK(next("https://a.example/list") == 2);
  CHECK(next("https://a.example/other") == 1);
  CHECK_FALSE(next("https://a.example/nowhere").has_value());
  CHECK_FALSE(next("https://b.example/list").has_value());
}

TEST_CASE("a query that holds a time or a nonce is answered by the same path") {
  const Recording recording = recording_of(
      {exchange("https://a.example/list?page=1&at=5", "1"), exchange("https://a.example/list?page=2&at=5", "2")});
  CHECK(find_exchange(recording, {false, false}, ask("https://a.example/list?page=2&at=5")) == 1);
  CHECK(find_exchange(recording, {false, false}, ask("https://a.example/list?page=1&at=6")) == 0);
  CHECK(find_exchange(recording, {true, false}, ask("https://a.example/list?page=2&at=6")) == 1);
  CHECK(find_exchange(recording, {false, false}, ask("https://a.example/list?page=1&at=5", "a body")) == 0);
}

TEST_CASE("people may write headers as an object and leave out what goes without saying") {
  const Recording recording = read(
      R"({"restream_recording": 1, "params": {"n": 2}, "exchanges": [{"request": {"url": "https://a.example/"},
          "response": {"status": 200, "headers": {"Content-Type": "text/plain"}, "body": "hello"}}]})");
  CHECK(recording.params == Params{{"n", "2"}});
  CHECK(recording.exchanges.at(0).request.method == "GET");
  CHECK(recording.exchanges.at(0).result->headers == HttpHeaders{{"content-type", "text/plain"}});
}

TEST_CASE("what is no recording is refused by place") {
  CHECK(problem("{").starts_with("this is not JSON, as byte"));
  CHECK(problem("{}") == R"(this is no recording: it has no "restream_recording")");
  CHECK(problem("[]") == R"(this is no recording: it has no "restream_recording")");
  CHECK(problem(R"({"restream_recording": 2, "exchanges": []})").find("another version") != std::string::npos);
  CHECK(problem(R"({"restream_recording": 1})") == R"(the recording lacks "exchanges")");
  CHECK(problem(R"({"restream_recording": 1, "exchanges": [{}]})") == R"(exchange 1 lacks "request")");
  CHECK(problem(R"({"restream_recording": 1, "exchanges": [{"request": {}}]})") == R"(exchange 1 lacks "url")");
  CHECK(problem(R"({"restream_recording": 1, "exchanges": [{"request": {"url": "x"}}]})") ==
        R"(exchange 1 lacks "response")");
  CHECK(
      problem(R"({"restream_recording": 1, "exchanges": [{"request": {"url": "x"}, "response": {"status": "ok"}}]})") ==
      R"(exchange 1: "status" must be a number from 100 to 599)");
  CHECK(
      problem(
          R"({"restream_recording": 1, "exchanges": [{"request": {"url": "x"}, "error": {"problem": "boredom"}}]})") ==
      R"(exchange 1: there is no problem "boredom")");
  for (const char* bad : {R"("=")", R"("a")", R"("!!!!")", R"("ab==cd==")", R"("====")"})
    CHECK(problem(R"({"restream_recording": 1, "exchanges": [{"request": {"url": "x"}, "response": {"status": 200,
                      "body_base64": )" +
                  std::string(bad) + "}}]}") == R"(exchange 1: "body_base64" is not base64)");
}
