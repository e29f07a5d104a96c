// Filters as subscribers ask for them.
#include <catch2/catch.hpp>

#include "serve/message.hpp"
#include "serve/stream_request.hpp"
#include "serve_fixture.hpp"

using namespace restream;
using namespace restream::test;

namespace {

std::expected<ClientMessage, MessageError> subscribe(const std::string& more) {
  return parse_message(R"({"action":"subscribe","channel":"news",)" + more + "}");
}

std::expected<StreamRequest, FeedError> stream(const std::string& query) {
  return parse_stream_request(*parse_request("GET /channels/news?" + query + " HTTP/1.1\r\nHost: h\r\n\r\n"), 10);
}

std::string pointers(std::size_t count) {
  std::string list;
  for (std::size_t i = 0; i < count; ++i) list += (i == 0 ? "\"/" : ",\"/") + std::to_string(i) + '"';
  return "[" + list + "]";
}

std::string conditions(std::size_t count) {
  std::string list;
  for (std::size_t i = 0; i < count; ++i) list += (i == 0 ? "\"/" : ",\"/") + std::to_string(i) + "\":1";
  return "{" + list + "}";
}

}  // namespace

TEST_CASE("select and where are read, and values keep their text") {
  const auto read = subscribe(
      R"("select":["/title","/a~1b/0"],"where":{"/s":"w\"","/n":1.50,"/big":123456789012345678901234567890,"/i":-7,"/b":false,"/z":null})");
  REQUIRE(read);
  const Filter& filter = *read->delivery.filter;
  CHECK(*filter.select == std::vector<std::string>{"/title", "/a~1b/0"});
  std::string where;
  for (const auto& [pointer, value] : filter.where) where += pointer + "=" + value + " ";
  CHECK(where == R"(/s="w\"" /n=1.50 /big=123456789012345678901234567890 /i=-7 /b=false /z=null )");
  CHECK(read->params.empty());
  CHECK(subscribe(R"("select":[])")->delivery.filter->select->empty());
  CHECK_FALSE(subscribe(R"("where":{})")->delivery.filter);
  CHECK_FALSE(subscribe(R"("snapshot":true)")->delivery.filter);
  CHECK(subscribe(R"("select":)" + pointers(32) + R"(,"where":)" + conditions(16)));
  const auto both = stream("_select=%5B%22/t%22%5D&_where=%7B%22/s%22:2.0%7D&section=x");
  REQUIRE(both);
  CHECK(both->delivery.filter->select->at(0) == "/t");
  CHECK(both->delivery.filter->where.at(0).value == "2.0");
  CHECK(both->channels.at(0).params.size() == 1);
}

TEST_CASE("what is no filter is refused with the field's name and what it should be") {
  const std::string long_text(300, 'x');
  for (const auto& [field, value, words] : std::vector<std::array<std::string, 3>>{
           {"select", R"("/t")", "an array of JSON pointers"},
           {"select", "null", "an array of JSON pointers"},
           {"select", "{}", "an array of JSON pointers"},
           {"select", "[1]", "not one of a number"},
           {"select", "[null]", "not one of null"},
           {"select", "[[]]", "not one of an array"},
           {"select", R"([{"a":"/b"}])", "not one of an object"},
           {"select", R"([""])", "is not a JSON pointer"},
           {"select", R"(["t"])", "'t' is not a JSON pointer"},
           {"select", R"(["/a~"])", "'/a~' is not a JSON pointer"},
           {"select", R"(["/a~2"])", "'/a~2' is not a JSON pointer"},
           {"select", "[\"/" + long_text + "\"]", "256 bytes"},
           {"select", pointers(33), "32 pointers at most"},
           {"where", "[]", "an object of JSON pointers"},
           {"where", "7", "an object of JSON pointers"},
           {"where", R"({"t":1})", "'t' is not a JSON pointer"},
           {"where", R"({"/t":[]})", "must be a string, a number, a boolean or null, not an array"},
           {"where", R"({"/t":{"/u":1}})", "must be a string, a number, a boolean or null, not an object"},
           {"where", R"({"/t":1,"/t":2})", "twice"},
           {"where", R"({"/t":")" + long_text + "\"}", "longer than 256 bytes"},
           {"where", conditions(17), "16 conditions at most"}}) {
    INFO(field << ": " << value);
    const auto message = subscribe('"' + field + "\":" + value);
    REQUIRE_FALSE(message);
    CHECK(message.error().code == "bad_request");
    CHECK(message.error().message.find("'" + field + "'") != std::string::npos);
    CHECK(message.error().message.find(words) != std::string::npos);
    const auto asked = stream("_" + field + "=" + percent_encode(value));
    REQUIRE_FALSE(asked);
    CHECK(asked.error().code == "invalid_params");
    CHECK(asked.error().message.starts_with("in the query's _" + field + ": "));
    CHECK(asked.error().message.find(words) != std::string::npos);
  }
  for (const char* broken : {"", "[", "%5B%22/a%22%5D%5D", "x"}) CHECK_FALSE(stream("_select=" + std::string(broken)));
}

TEST_CASE("a batch of which nothing is seen moves a subscriber on without a byte and without a read") {
  Rig rig;
  rig.core.filter_odd = true;  // events of odd offsets are not seen
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false,"where":{"/n":1})");
  rig.core.publish("news", 1);
  rig.core.publish("news", 1);
  CHECK(client.read_json()["position"] == at(2));
  rig.core.publish("news", 1);
  rig.core.publish("news", 3);
  CHECK(client.read_json()["position"] == at(4));
  CHECK(client.read_json()["position"] == at(6));
  CHECK(rig.core.reads() == 0);
  // The same from the log: a gap makes it read.
  rig.core.append("news", 1);
  rig.core.publish("news", 2);
  CHECK(client.read_json()["position"] == at(8));
  CHECK(rig.core.reads() > 0);
  client.text(R"({"action":"unsubscribe","channel":"news"})");
  CHECK(client.read_json()["type"] == "unsubscribed");
  CHECK(eventually([&rig] { return rig.core.attached() == 0; }));
}

TEST_CASE("a batch that says nothing of a filter is a gap, not one without a filter") {
  Rig rig;
  rig.core.filter_odd = true;
  Client client = rig.open();
  client.subscribe("news", R"(,"snapshot":false,"where":{"/n":1})");
  const Frames never = frame(R"({"never":"sent"})");
  rig.core.append("news", 2);
  rig.core.announce({.channel = rig.core.number("news"), .after = 0, .last = 2, .frames = {never, never, never}});
  CHECK(client.read_json()["position"] == at(2));
  CHECK(rig.core.reads() == 1);
}
