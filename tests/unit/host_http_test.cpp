#include "host_support.hpp"

using namespace restream;
using namespace restream::test;

namespace {

HostHttpResponse answer(std::string body) {
  return {RESTREAM_OK, 200, {{"content-type", "text/plain"}, {"etag", "\"1\""}}, std::move(body), ""};
}

HttpAsk next_ask(Host& host) {
  REQUIRE(host.run_until([&] { return !host.asked.empty(); }));
  HttpAsk ask = std::move(host.asked.front());
  host.asked.erase(host.asked.begin());
  return ask;
}

}  // namespace

TEST_CASE("a plugin's request reaches the daemon whole, and so does the answer the plugin") {
  Host host("actor");
  host.started();
  const auto pending = begin(host, "http https://api.example.com/a?b=c");
  const HttpAsk ask = next_ask(host);
  CHECK(ask.call == pending.number);
  CHECK(ask.request.method == "POST");
  CHECK(ask.request.url == "https://api.example.com/a?b=c");
  CHECK(ask.request.headers == std::vector<std::pair<std::string, std::string>>{{"x-test", "yes"}});
  CHECK(ask.request.body == "the body");
  ask.reply(answer("hello"));
  CHECK(finish(host, pending).output == "0 200 [] [hello] content-type=text/plain etag=\"1\"");
}

TEST_CASE("a request that got no answer tells the plugin why") {
  Host host("actor");
  host.started();
  const auto pending = begin(host, "http https://api.example.com/");
  next_ask(host).reply({RESTREAM_UNREACHABLE, 0, {}, "", "connection refused"});
  CHECK(finish(host, pending).output == "4 0 [connection refused] []");
}

TEST_CASE("an answer of 16 MiB arrives whole, one that fits no frame is too large") {
  Host host("actor");
  host.started();
  const std::string body(16U << 20U, 'b');
  auto pending = begin(host, "http https://api.example.com/");
  next_ask(host).reply({RESTREAM_OK, 200, {}, body, ""});
  CHECK((finish(host, pending).output == "0 200 [] [" + body + "]"));
  pending = begin(host, "http https://api.example.com/");
  next_ask(host).reply({RESTREAM_OK, 200, {}, std::string(65U << 20U, 'b'), ""});
  CHECK(finish(host, pending).output == "6 0 [the answer is too large for a plugin] []");
}

TEST_CASE("many calls ask at once and each gets its own answer, in whatever order") {
  Host host("actor");
  host.started();
  std::vector<Pending> pending;
  for (int i = 0; i < 100; ++i) pending.push_back(begin(host, "http-twice https://x/" + std::to_string(i)));
  const auto answer_all = [&] {
    REQUIRE(host.run_until([&] { return host.asked.size() == pending.size(); }));
    const auto asked = std::exchange(host.asked, {});
    for (auto ask = asked.rbegin(); ask != asked.rend(); ++ask) ask->reply(answer(ask->request.url));
  };
  answer_all();
  answer_all();
  for (std::size_t i = 0; i < pending.size(); ++i) {
    const std::string one = "0 200 [] [https://x/" + std::to_string(i) + "] content-type=text/plain etag=\"1\"";
    CHECK(finish(host, pending[i]).output == one + one);
  }
}

TEST_CASE("an answer from inside the callback is as good as a later one") {
  Host host("actor");
  host.on_http = [](HttpAsk ask) { ask.reply(answer("at once")); };
  host.started();
  CHECK_THAT(call(host, "http https://x/").output, Catch::StartsWith("0 200 [] [at once]"));
}

TEST_CASE("an answer given twice counts once, and not for the next request") {
  Host host("actor");
  host.started();
  const auto pending = begin(host, "http-twice https://x/");
  const HttpAsk first = next_ask(host);
  first.reply(answer("one"));
  first.reply(answer("one again"));
  const HttpAsk second = next_ask(host);
  first.reply(answer("and again"));
  host.run_until([] { return false; }, 50ms);
  second.reply(answer("two"));
  const std::string rest = "] content-type=text/plain etag=\"1\"";
  CHECK(finish(host, pending).output == "0 200 [] [one" + rest + "0 200 [] [two" + rest);
}

TEST_CASE("cancelling a call ends its wait for HTTP, and its late answer is of no consequence") {
  Host host("actor");
  host.started();
  const auto pending = begin(host, "http-twice https://x/");
  const HttpAsk ask = next_ask(host);
  host.process->cancel(pending.number);
  const std::string one = "7 0 [nobody waits for this call any more] []";
  CHECK(finish(host, pending).output == one + one);
  CHECK(host.asked.empty());  // the second was not even sent
  ask.reply(answer("late"));
  ask.reply(answer("and again"));
  CHECK(call(host, "echo fine").output == "fine");
  CHECK_FALSE(host.ended);
}

TEST_CASE("a request is given up before its call's deadline, so that a silent daemon costs no host") {
  const std::string one = "5 0 [the time for HTTP in this call is over] []";
  // The host has a quarter of a second to return in: a machine that stands still takes that, but hardly three times.
  for (int attempt = 1;; ++attempt) {
    Host host("actor");
    host.started();
    const auto pending = begin(host, "http-twice https://x/", 3s);
    const HttpAsk ask = next_ask(host);
    const CallResult result = finish(host, pending);
    if (result.kind == CallResult::Kind::timed_out && attempt < 3) continue;
    CHECK(result.output == one + one);
    ask.reply(answer("late"));
    CHECK(call(host, "echo fine").output == "fine");
    break;
  }
}

TEST_CASE("an answer may come after the host has ended, and after it is gone altogether") {
  Host host("actor");
  host.started();
  const auto first = begin(host, "http https://x/");
  const auto second = begin(host, "http https://x/");
  const HttpAsk early = next_ask(host);
  const HttpAsk late = next_ask(host);
  host.process->kill("the test wants it");
  early.reply(answer("to a killed one"));
  CHECK(host.until_ended().reason == "killed: the test wants it");
  CHECK(finish(host, first).kind == CallResult::Kind::lost);
  CHECK(finish(host, second).kind == CallResult::Kind::lost);
  early.reply(answer("to an ended one"));
  host.process.reset();
  host.run_until([] { return false; }, 50ms);
  late.reply(answer("to none"));
}

TEST_CASE("a plugin in C asks, reads and emits") {
  Host host("plain");
  host.on_http = [](HttpAsk ask) {
    CHECK(ask.request.method == "GET");
    CHECK(ask.request.url == "https://api.example.com/one");
    ask.reply({RESTREAM_OK, 200, {}, R"({"id": 1})", ""});
  };
  host.started();
  CHECK_THAT(call(host, "{}", 60s, HostFunction::metadata).output, Catch::Contains(R"("name": "plain")"));
  CHECK(call(host, "{}").output == R"({"status_code": 200, "result": [{"id": 1}]})");
  host.on_http = [](HttpAsk ask) { ask.reply({RESTREAM_UNREACHABLE, 0, {}, "", "no connection"}); };
  CHECK(call(host, "{}").code == RESTREAM_UNREACHABLE);
  CHECK(host.has_line(LogSource::plugin, RESTREAM_ERROR, "no connection"));
}

TEST_CASE("a plugin with the C++ face asks, reads and emits, and nothing that it throws gets out") {
  Host host("stars");
  HostHttpResponse response{RESTREAM_OK, 200, {}, R"({"stars": [{"id": "a"}, {"id": "b"}]})", ""};
  std::string url;
  host.on_http = [&](HttpAsk ask) {
    url = ask.request.url;
    CHECK(ask.request.headers == std::vector<std::pair<std::string, std::string>>{{"authorization", "Bearer secret"}});
    ask.reply(response);
  };
  host.started();
  const std::string request =
      R"({"call": "fetch", "channel": "stars", "params": {"of": "a/b"}, "keys": {"token": "secret"}, "config": {}})";
  CHECK(call(host, request).output == R"({"status_code":200,"result":[{"id":"a"},{"id":"b"}]})");
  CHECK(url == "https://api.example.com/stars/a%2Fb");

  response.status = 404;
  CHECK(call(host, request).output == R"({"status_code":404,"result":"the API answered with status 404"})");
  response = {RESTREAM_REFUSED, 0, {}, "", "another origin"};
  CHECK(call(host, request).code == RESTREAM_REFUSED);
  CHECK(host.has_line(LogSource::plugin, RESTREAM_ERROR, "another origin"));
  response = {RESTREAM_OK, 200, {}, "<html>", ""};
  CHECK(call(host, request).code == RESTREAM_FAILED);
  CHECK(call(host, "no JSON").code == RESTREAM_FAILED);
  CHECK_FALSE(host.ended);
}
