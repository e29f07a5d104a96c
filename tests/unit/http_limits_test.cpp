// Time, size and numbers: what a bad or slow API cannot do to us.
#include <zlib.h>

#include <array>
#include <cstdio>

#include "http_ask.hpp"
#include "http_test_server.hpp"

using namespace restream;
using namespace restream::test;

namespace {

const HttpOptions options{.user_agent = "restream/test", .body = 1U << 20U};

std::string gzip(const std::string& text) {
  z_stream stream{};
  if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK) FAIL("zlib");
  std::string packed(deflateBound(&stream, text.size()) + 64, '\0');
  std::string input = text;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

TestServer::Handler always(std::string bytes, bool keep = true) {
  return [bytes = std::move(bytes), keep](int fd, const SeenRequest&) {
    send_all(fd, bytes);
    return keep;
  };
}

// Never answers; ends when the other side does.
bool hang(int fd, const SeenRequest&) {
  char byte = 0;
  return ::recv(fd, &byte, 1, 0) > 0;
}

}  // namespace

TEST_CASE("a compressed answer arrives inflated and no longer says that it is compressed") {
  const std::string body(100'000, 'r');
  TestServer server(always(answer(200, "Content-Encoding: gzip\r\n", gzip(body))));
  HttpClient client(options, real_clock());
  const HttpResult result = ask(client, get(server.origin(), "/"));
  REQUIRE(result);
  CHECK(result->body == body);
  CHECK(header(*result, "content-encoding") == "(none)");
  CHECK(header(*result, "content-length") == "(none)");
}

TEST_CASE("a damaged or unasked compression is unreachable, not a half answer") {
  const std::string packed = gzip(std::string(100'000, 'r'));
  TestServer cut(always(answer(200, "Content-Encoding: gzip\r\n", "not gzip at all")));
  TestServer other(always(answer(200, "Content-Encoding: zstd\r\n", "x")));
  TestServer chain(always(answer(200, "Content-Encoding: gzip, br\r\n", "x")));
  HttpClient client(options, real_clock());
  CHECK(refused(client, get(cut.origin(), "/")).problem == HttpProblem::unreachable);
  CHECK_THAT(refused(client, get(other.origin(), "/")).message, Catch::Contains("not asked for"));
  CHECK_THAT(refused(client, get(chain.origin(), "/")).message, Catch::Contains("not asked for"));
}

TEST_CASE("a transfer coding that was not asked for is unreachable; chunked answers arrive whole") {
  const auto chunked = [](const std::string& coding, const std::string& body) {
    std::array<char, 20> size{};
    std::snprintf(size.data(), size.size(), "%zx\r\n", body.size());
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + coding + "\r\n\r\n" + size.data() + body + "\r\n0\r\n\r\n";
  };
  HttpClient client(options, real_clock());
  const std::string body(100'000, 'r');
  for (const char* coding : {"gzip, chunked", "GZIP ,Chunked", "deflate, chunked", "zstd, chunked", "br, chunked",
                             "chunked, gzip", "gzip\r\nTransfer-Encoding: chunked", "compress, chunked"}) {
    INFO(coding);
    TestServer server(always(chunked(coding, gzip(body)), false));
    const HttpError error = refused(client, get(server.origin(), "/"));
    CHECK(error.problem == HttpProblem::unreachable);
    CHECK_THAT(error.message, Catch::Contains("not asked for"));
  }
  TestServer closing(always("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + gzip(body), false));
  CHECK_THAT(refused(client, get(closing.origin(), "/")).message, Catch::Contains("not asked for"));
  for (const char* coding : {"chunked", "Chunked", "identity\r\nTransfer-Encoding: chunked"}) {
    INFO(coding);
    TestServer server(always(chunked(coding, body)));
    CHECK((got(client, get(server.origin(), "/")).body == body));
  }
  // Its length in front counts for nothing then, and the limit still holds.
  TestServer large(always(chunked("chunked\r\nContent-Length: 5", std::string(options.body + 1, 'x')), false));
  CHECK(refused(client, get(large.origin(), "/")).problem == HttpProblem::too_large);
}

TEST_CASE("the body limit holds for plain, chunked, endless and compressed answers") {
  HttpClient client(options, real_clock());
  const std::string exact(options.body, 'x');
  SECTION("exactly the limit passes") {
    TestServer server(always(answer(200, "", exact)));
    CHECK(got(client, get(server.origin(), "/")).body.size() == options.body);
  }
  SECTION("one byte more does not") {
    TestServer server(always(answer(200, "", exact + "y")));
    const HttpError error = refused(client, get(server.origin(), "/"));
    CHECK(error.problem == HttpProblem::too_large);
    CHECK(error.requests == 1);
    CHECK(error.message == server.origin() + ": the answer is larger than 1048576 bytes");
  }
  SECTION("nor without a length, until the connection closes") {
    TestServer server(always("HTTP/1.1 200 OK\r\n\r\n" + exact + "y", false));
    CHECK(refused(client, get(server.origin(), "/")).problem == HttpProblem::too_large);
  }
  SECTION("an endless answer is cut off") {
    TestServer server([](int fd, const SeenRequest&) {
      send_all(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const std::string chunk = "1000\r\n" + std::string(4096, 'x') + "\r\n";
      while (::send(fd, chunk.data(), chunk.size(), MSG_NOSIGNAL) > 0) {
      }
      return false;
    });
    CHECK(refused(client, get(server.origin(), "/")).problem == HttpProblem::too_large);
  }
  SECTION("a gzip bomb is cut off while it unfolds") {
    const std::string bomb = gzip(std::string(200U << 20U, '\0'));
    REQUIRE(bomb.size() < options.body);
    TestServer server(always(answer(200, "Content-Encoding: gzip\r\n", bomb)));
    const SteadyTime start = std::chrono::steady_clock::now();
    CHECK(refused(client, get(server.origin(), "/")).problem == HttpProblem::too_large);
    CHECK(since(start) < 5s);
    // Each further layer unfolds a thousandfold what unfolds a thousandfold, and the last of them into nothing that
    // would reach a limit: 5 KB of three layers keep libcurl busy for seconds.
    for (const char* layers : {"gzip, gzip", "gzip, identity, gzip", "gzip\r\nContent-Encoding: gzip",
                               "gzip\r\n \r\nHTTP/1.1 200: no status line\r\nContent-Encoding: gzip"}) {
      INFO(layers);
      TestServer twice(always(answer(200, "Content-Encoding: " + std::string(layers) + "\r\n", gzip(gzip("x")))));
      const HttpError error = refused(client, get(twice.origin(), "/"));
      CHECK(error.problem == HttpProblem::unreachable);
      CHECK_THAT(error.message, Catch::Contains("compressed more than once"));
    }
    TestServer once(always(answer(200, "Content-Encoding: identity, gzip\r\n", gzip("x"))));
    CHECK(ask(client, get(once.origin(), "/"))->body == "x");
  }
}

TEST_CASE("endless headers are cut off") {
  TestServer server([](int fd, const SeenRequest&) {
    send_all(fd, "HTTP/1.1 200 OK\r\n");
    const std::string line = "X-More: " + std::string(1000, 'x') + "\r\n";
    while (::send(fd, line.data(), line.size(), MSG_NOSIGNAL) > 0) {
    }
    return false;
  });
  HttpClient client(options, real_clock());
  const HttpError error = refused(client, get(server.origin(), "/"));
  CHECK(error.problem == HttpProblem::too_large);
  CHECK_THAT(error.message, Catch::Contains("headers"));
}

TEST_CASE("a server that never answers costs the deadline and no more") {
  TestServer server(hang);
  HttpClient client(options, real_clock());
  const SteadyTime start = std::chrono::steady_clock::now();
  const HttpError error = refused(client, get(server.origin(), "/secret-path?key=secret", 1s));
  CHECK(error.problem == HttpProblem::timeout);
  CHECK(error.message == server.origin() + ": it did not answer in time");
  CHECK(error.requests == 1);
  CHECK(lasted(start, 1s));
  CHECK(since(start) < 8s);
}

TEST_CASE("a server that drips is cut off at the deadline of the whole call") {
  TestServer server([](int fd, const SeenRequest&) {
    send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (::send(fd, "x", 1, MSG_NOSIGNAL) > 0) std::this_thread::sleep_for(20ms);
    return false;
  });
  HttpClient client(options, real_clock());
  const SteadyTime start = std::chrono::steady_clock::now();
  const HttpError error = refused(client, get(server.origin(), "/", 1500ms));
  CHECK(error.problem == HttpProblem::timeout);
  CHECK(error.message == server.origin() + ": its answer took too long");
  CHECK(since(start) < 10s);
}

TEST_CASE("an answer must begin in time, though the call has more; from then on only the call's deadline counts") {
  // Long enough for a server on a machine that stands still for half a second.
  const HttpOptions hurried{.user_agent = "restream/test", .first_byte = 1500ms};
  HttpClient client(hurried, real_clock());
  const SteadyTime start = std::chrono::steady_clock::now();
  SECTION("a server that never answers") {
    TestServer server(hang);
    const HttpError error = refused(client, get(server.origin(), "/?key=secret", 10s));
    CHECK(error.problem == HttpProblem::timeout);
    CHECK(error.message == server.origin() + ": it did not begin to answer within 1500 ms");
    CHECK(error.requests == 1);
    CHECK(lasted(start, 1500ms));
    CHECK(since(start) < 8s);
  }
  SECTION("a server that begins and takes its time") {
    TestServer server([](int fd, const SeenRequest&) {
      send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
      std::this_thread::sleep_for(2s);
      send_all(fd, "ok");
      return true;
    });
    CHECK(got(client, get(server.origin(), "/")).body == "ok");
    CHECK(lasted(start, 2s));
  }
  SECTION("each request of a call has a time of its own") {
    TestServer server([](int fd, const SeenRequest& request) {
      std::this_thread::sleep_for(800ms);
      if (request.target == "/hang") return hang(fd, request);
      if (request.target == "/end") {
        send_all(fd, answer(200, "", "end"));
        return true;
      }
      send_all(fd, answer(302, request.target == "/" ? "Location: /end\r\n" : "Location: /hang\r\n", ""));
      return true;
    });
    CHECK(got(client, get(server.origin(), "/")).body == "end");
    CHECK(lasted(start, 1600ms));
    const HttpError error = refused(client, get(server.origin(), "/then-hang"));
    CHECK(error.problem == HttpProblem::timeout);
    CHECK(error.requests == 2);
    CHECK(since(start) < 9s);
  }
  SECTION("a silent server's place is free again for others") {
    TestServer server([](int fd, const SeenRequest& request) {
      if (request.target == "/hang") return hang(fd, request);
      send_all(fd, answer(200, "", "fine"));
      return true;
    });
    HttpClient narrow(HttpOptions{.user_agent = "x", .requests_per_origin = 1, .first_byte = 1500ms}, real_clock());
    auto stuck = restream::test::start(narrow, get(server.origin(), "/hang"));
    CHECK(got(narrow, get(server.origin(), "/")).body == "fine");
    CHECK_FALSE(stuck.get());
  }
}

TEST_CASE("a deadline that has passed sends nothing") {
  TestServer server(always(answer(200, "", "x")));
  HttpClient client(options, real_clock());
  CHECK(refused(client, get(server.origin(), "/", -1s)).problem == HttpProblem::timeout);
  CHECK(server.seen().empty());
}

TEST_CASE("a connection that breaks off is unreachable") {
  HttpClient client(options, real_clock());
  SECTION("by a reset in mid-body") {
    TestServer server([](int fd, const SeenRequest&) {
      send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
      std::this_thread::sleep_for(20ms);
      const linger now{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      return false;
    });
    CHECK(refused(client, get(server.origin(), "/?key=hidden")).problem == HttpProblem::unreachable);
  }
  SECTION("by a close in mid-body") {
    TestServer server(always("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", false));
    CHECK(refused(client, get(server.origin(), "/")).problem == HttpProblem::unreachable);
  }
  SECTION("by a close without an answer") {
    TestServer server(always("", false));
    CHECK(refused(client, get(server.origin(), "/")).problem == HttpProblem::unreachable);
  }
  SECTION("by talk that is not HTTP") {
    TestServer server(always("SSH-2.0-OpenSSH\r\n", false));
    CHECK(refused(client, get(server.origin(), "/")).problem == HttpProblem::unreachable);
  }
  SECTION("because nobody listens") {
    std::string origin;
    {
      TestServer server(hang);
      origin = server.origin();
    }
    const HttpError error = refused(client, get(origin, "/?key=hidden"));
    CHECK(error.problem == HttpProblem::unreachable);
    CHECK(error.requests == 0);
    CHECK_THAT(error.message, Catch::StartsWith(origin + ": no connection") && !Catch::Contains("hidden"));
  }
}

TEST_CASE("no more requests than allowed are under way to one origin, and the rest come in order") {
  std::mutex mutex;
  int now = 0;
  int most = 0;
  TestServer server([&](int fd, const SeenRequest&) {
    {
      const std::scoped_lock lock(mutex);
      most = std::max(most, ++now);
    }
    std::this_thread::sleep_for(5ms);
    {
      const std::scoped_lock lock(mutex);
      --now;
    }
    send_all(fd, answer(200, "", "x"));
    return true;
  });
  HttpClient client(HttpOptions{.user_agent = "x", .requests_per_origin = 4}, real_clock());
  std::vector<std::future<HttpResult>> all;
  for (int i = 0; i < 100; ++i) all.push_back(start(client, get(server.origin(), "/" + std::to_string(i))));
  for (auto& one : all) REQUIRE(one.get());
  CHECK(most == 4);
  CHECK(server.accepted() <= 4);
  const std::vector<SeenRequest> seen = server.seen();
  for (int i = 0; i < 100; ++i)
    CHECK(std::abs(std::stoi(seen.at(static_cast<std::size_t>(i)).target.substr(1)) - i) <= 4);
}

TEST_CASE("200 requests that hang on one origin delay no other, and those that wait keep their deadlines") {
  TestServer hung(hang);
  TestServer fine(always(answer(200, "", "fine")));
  HttpClient client(HttpOptions{.user_agent = "x"}, real_clock());
  std::vector<std::future<HttpResult>> stuck;
  const SteadyTime start_time = std::chrono::steady_clock::now();
  const HttpRequest request = get(hung.origin(), "/", 6s);
  for (int i = 0; i < 200; ++i) stuck.push_back(start(client, request));
  while (hung.seen().size() < 64) std::this_thread::sleep_for(1ms);
  while (client.load().waiting < 136 && since(start_time) < 5s) std::this_thread::sleep_for(1ms);
  CHECK(client.load().active == 64);
  CHECK(client.load().waiting == 136);
  for (int i = 0; i < 20; ++i) {
    const SteadyTime asked = std::chrono::steady_clock::now();
    CHECK(got(client, get(fine.origin(), "/")).body == "fine");
    CHECK(since(asked) < 3s);
  }
  int sent = 0;
  for (auto& one : stuck) {
    const HttpResult result = one.get();
    REQUIRE_FALSE(result);
    CHECK(result.error().problem == HttpProblem::timeout);
    sent += result.error().requests;
    if (result.error().requests == 0)
      CHECK_THAT(result.error().message, Catch::Contains("before one of the 64 requests"));
  }
  CHECK(sent == 64);
  CHECK(since(start_time) < 15s);
}
