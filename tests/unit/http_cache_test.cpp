// Conditional requests: what is kept, what a 304 turns into, and what is still known after a restart.
#include <filesystem>
#include <fstream>

#include "http/cache.hpp"
#include "http/cache_file.hpp"
#include "http/cache_rules.hpp"
#include "http_ask.hpp"
#include "http_test_server.hpp"

using namespace restream;
using namespace restream::test;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t mib = 1U << 20U;

// An API with one document: 200 with an ETag, or 304 when the request names it.
class Api {
 public:
  explicit Api(std::string headers = "") : headers_(std::move(headers)) {}

  std::string body = std::string(30'000, 'x');
  std::string tag = "\"v1\"";
  std::atomic<int> not_modified{0};
  std::atomic<std::size_t> sent{0};  // bytes of bodies

  TestServer::Handler handler() {
    return [this](int fd, const SeenRequest& request) {
      const auto asked = request.headers.find("if-none-match");
      if (asked != request.headers.end() && asked->second == tag) {
        ++not_modified;
        send_all(fd, "HTTP/1.1 304 Not Modified\r\nETag: " + tag +
                         "\r\nX-Poll-Interval: 60\r\nX-RateLimit-Remaining: 7\r\n\r\n");
        return true;
      }
      sent += body.size();
      send_all(fd, answer(200,
                          "ETag: " + tag + "\r\nContent-Type: text/plain\r\nAge: 5\r\nX-RateLimit-Remaining: 9\r\n" +
                              headers_,
                          body));
      return true;
    };
  }

 private:
  std::string headers_;
};

struct Folder {
  Folder() {
    char name[] = "/tmp/restream-cache-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path path;
};

const KeyedHash hash_of_test({1, 2, 3});

HttpOptions options_with(const fs::path& directory, std::size_t capacity = 64 * mib) {
  HttpOptions options{.user_agent = "restream/test"};
  options.cache = std::make_shared<HttpCache>(directory, hash_of_test, capacity);
  return options;
}

std::vector<fs::path> files_in(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& one : fs::directory_iterator(directory)) files.push_back(one.path());
  return files;
}

HttpRequest with(HttpRequest request, const std::string& name, const std::string& value) {
  request.headers.emplace_back(name, value);
  return request;
}

}  // namespace

TEST_CASE("after the first request an unchanged document costs no byte of body, and looks the same") {
  Api api;
  TestServer server(api.handler());
  HttpClient client(options_with({}), real_clock());
  const HttpResponse first = got(client, get(server.origin(), "/doc"));
  CHECK_FALSE(first.revalidated);
  for (int i = 0; i < 3; ++i) {
    const HttpResponse again = got(client, get(server.origin(), "/doc"));
    CHECK(again.status == 200);
    CHECK(again.body == first.body);
    CHECK(again.revalidated);
    CHECK(header(again, "content-type") == "text/plain");
    CHECK(header(again, "x-poll-interval") == "60");
    CHECK(header(again, "x-ratelimit-remaining") == "7");  // of now
    CHECK(header(again, "age") == "(none)");               // was of then
  }
  CHECK(api.sent == first.body.size());
  CHECK(api.not_modified == 3);
}

TEST_CASE("a changed document is sent, and from then on it is the one that is asked for") {
  Api api;
  TestServer server(api.handler());
  HttpClient client(options_with({}), real_clock());
  static_cast<void>(got(client, get(server.origin(), "/doc")));
  api.tag = "\"v2\"";
  api.body = "new";
  CHECK(got(client, get(server.origin(), "/doc")).body == "new");
  CHECK(got(client, get(server.origin(), "/doc")).revalidated);
}

TEST_CASE("what another credential got is never replayed") {
  Api api;
  TestServer server(api.handler());
  HttpClient client(options_with({}), real_clock());
  static_cast<void>(got(client, with(get(server.origin(), "/doc"), "Authorization", "Bearer one")));
  CHECK_FALSE(got(client, with(get(server.origin(), "/doc"), "Authorization", "Bearer two")).revalidated);
  CHECK_FALSE(got(client, with(get(server.origin(), "/doc"), "X-Api-Key", "three")).revalidated);
  CHECK_FALSE(got(client, get(server.origin(), "/doc?api-key=four")).revalidated);
  CHECK(got(client, with(get(server.origin(), "/doc"), "Authorization", "Bearer one")).revalidated);
}

TEST_CASE("signatures that change each time are left out, credentials are not") {
  const auto subject = [](const std::string& url, const std::string& authorization) {
    HttpRequest request;
    request.url = url;
    request.headers = {{"Authorization", authorization}};
    return cache_subject(request, url, "https://a.example", "agent");
  };
  const std::string url = "https://a.example/x?a=1";
  const auto oauth = [](const std::string& token, const std::string& nonce) {
    return "OAuth oauth_consumer_key=\"c\", oauth_nonce=\"" + nonce + "\", oauth_signature=\"s" + nonce +
           "\", oauth_timestamp=\"" + nonce + "\", oauth_token=\"" + token + "\"";
  };
  CHECK(subject(url, oauth("t", "1")) == subject(url, oauth("t", "2")));
  CHECK(subject(url, oauth("t", "1")) != subject(url, oauth("u", "1")));
  CHECK(subject(url, "Bearer 1") != subject(url, "Bearer 2"));
  CHECK(subject(url + "&oauth_nonce=1&oauth_signature=a&oauth_timestamp=3", "") ==
        subject(url + "&oauth_nonce=2&oauth_signature=b&oauth_timestamp=4", ""));
  CHECK(subject(url + "&b=1", "") != subject(url + "&b=2", ""));
}

TEST_CASE("a header the plugin sets makes another request of it, so Vary is kept by construction") {
  Api api("Vary: Accept-Language\r\n");
  TestServer server(api.handler());
  HttpClient client(options_with({}), real_clock());
  static_cast<void>(got(client, with(get(server.origin(), "/doc"), "Accept-Language", "de")));
  CHECK_FALSE(got(client, with(get(server.origin(), "/doc"), "Accept-Language", "en")).revalidated);
  CHECK(got(client, with(get(server.origin(), "/doc"), "Accept-Language", "de")).revalidated);
}

TEST_CASE("no-store and Vary: * are kept out") {
  for (const char* headers : {"Cache-Control: private, No-Store\r\n", "Vary: *\r\n"}) {
    Api api(headers);
    TestServer server(api.handler());
    HttpClient client(options_with({}), real_clock());
    static_cast<void>(got(client, get(server.origin(), "/doc")));
    CHECK_FALSE(got(client, get(server.origin(), "/doc")).revalidated);
  }
}

TEST_CASE("a plugin that asks conditionally by itself gets the 304 itself") {
  Api api;
  TestServer server(api.handler());
  HttpClient client(options_with({}), real_clock());
  static_cast<void>(got(client, get(server.origin(), "/doc")));
  const HttpResponse own = got(client, with(get(server.origin(), "/doc"), "If-None-Match", "\"v1\""));
  CHECK(own.status == 304);
  CHECK(own.body.empty());
}

TEST_CASE("a Last-Modified of the very second of the answer proves nothing") {
  const auto answered = [](const std::string& modified) {
    HttpResponse response{.status = 200, .headers = {}, .body = "x"};
    response.headers = {{"date", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"last-modified", modified}};
    return response;
  };
  const WallTime now = std::chrono::system_clock::now();
  CHECK_FALSE(may_be_kept(answered("Sun, 06 Nov 1994 08:49:37 GMT"), now));
  CHECK(may_be_kept(answered("Sun, 06 Nov 1994 08:49:36 GMT"), now));
  CHECK_FALSE(may_be_kept(answered("yesterday"), now));
}

TEST_CASE("what a redirect leads to has validators of its own") {
  Api api;
  TestServer server([&api, handler = api.handler()](int fd, const SeenRequest& request) {
    if (request.target == "/old") {
      send_all(fd, answer(302, "Location: /doc\r\nETag: \"r\"\r\n", "moved"));
      return true;
    }
    return handler(fd, request);
  });
  HttpClient client(options_with({}), real_clock());
  static_cast<void>(got(client, get(server.origin(), "/old")));
  const HttpResponse again = got(client, get(server.origin(), "/old"));
  CHECK(again.revalidated);
  CHECK(again.requests == 2);
  CHECK(again.body == api.body);
}

TEST_CASE("validators and bodies are there after a restart, and no URL or key is on disk in clear") {
  const Folder folder;
  Api api;
  TestServer server(api.handler());
  const auto request = [&] { return with(get(server.origin(), "/doc?api-key=s3cret-one"), "X-Key", "s3cret-two"); };
  {
    HttpClient client(options_with(folder.path), real_clock());
    static_cast<void>(got(client, request()));
  }
  const auto files = files_in(folder.path);
  REQUIRE(files.size() == 1);
  std::ifstream in(files[0], std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  CHECK(bytes.find("s3cret") == std::string::npos);
  CHECK(bytes.find("/doc") == std::string::npos);
  CHECK((fs::status(files[0]).permissions() & fs::perms::others_all) == fs::perms::none);
  HttpClient client(options_with(folder.path), real_clock());
  const HttpResponse after = got(client, request());
  CHECK(after.revalidated);
  CHECK(after.body == api.body);
  CHECK(api.sent == api.body.size());
}

TEST_CASE("a file that was cut, altered, swapped or half written is dropped as a whole") {
  const Folder folder;
  const CachedAnswer one{.headers = {{"etag", "\"1\""}}, .body = "first body"};
  const std::string name = hash_of_test.name("one");
  const std::string other = hash_of_test.name("two");
  const std::string bytes = cache_file_bytes(name, one, hash_of_test);
  REQUIRE(read_cache_file(name, bytes, hash_of_test));
  CHECK(read_cache_file(name, bytes, hash_of_test)->body == "first body");
  CHECK_FALSE(read_cache_file(other, bytes, hash_of_test));
  CHECK_FALSE(read_cache_file(name, bytes, KeyedHash({9})));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK_FALSE(read_cache_file(name, std::string_view(bytes).substr(0, cut), hash_of_test));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string altered = bytes;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    CHECK_FALSE(read_cache_file(name, altered, hash_of_test));
  }
  std::ofstream(folder.path / other, std::ios::binary) << bytes;
  std::ofstream(folder.path / (name + ".new"), std::ios::binary) << bytes;
  const HttpCache cache(folder.path, hash_of_test, mib);
  CHECK(cache.size() == 0);
  CHECK(files_in(folder.path).empty());
}

TEST_CASE("the cache is bounded in bytes, in memory and on disk, and what is out of use makes room") {
  const Folder folder;
  SteadyTime now{};
  const auto clock = [&] { return now; };
  {
    HttpCache cache(folder.path, hash_of_test, 100'000, clock);
    for (int i = 0; i < 50; ++i) {
      cache.put(cache.name_of(std::to_string(i)), {.headers = {{"etag", "x"}}, .body = std::string(10'000, 'b')});
      static_cast<void>(cache.find(cache.name_of("0")));  // used all the time
      CHECK(cache.bytes() <= 100'000);
      now += std::chrono::minutes(3);
    }
    CHECK(cache.find(cache.name_of("0")));
    CHECK(cache.size() == 9);
    CHECK_FALSE(cache.find(cache.name_of("20")));
    cache.put(cache.name_of("large"), {.headers = {}, .body = std::string(50'000, 'b')});  // would push all others out
    CHECK_FALSE(cache.find(cache.name_of("large")));
    now += std::chrono::hours(1);
    cache.put(cache.name_of("last"), {.headers = {}, .body = std::string(10'000, 'b')});
    CHECK(cache.find(cache.name_of("last")));
  }
  std::uintmax_t bytes = 0;
  for (const fs::path& file : files_in(folder.path)) bytes += fs::file_size(file);
  CHECK(bytes <= 100'000);
  CHECK(HttpCache(folder.path, hash_of_test, 100'000).find(hash_of_test.name("last")));
}

TEST_CASE("of more than fits, polled round and round, as much as fits is found every time") {
  SteadyTime now{};
  HttpCache cache({}, hash_of_test, 100'000, [&] { return now; });
  int found = 0;
  for (int round = 0; round < 10; ++round)
    for (int i = 0; i < 40; ++i) {
      now += std::chrono::seconds(1);
      const std::string name = cache.name_of(std::to_string(i));
      if (cache.find(name)) {
        ++found;
      } else {
        cache.put(name, {.headers = {{"etag", "x"}}, .body = std::string(10'000, 'b')});
      }
    }
  CHECK(found == 9 * 9);  // nine fit; the first round finds none
  // Others take the places of those that are polled no more.
  found = 0;
  for (int round = 0; round < 30; ++round)
    for (int i = 100; i < 109; ++i) {
      now += std::chrono::seconds(5);
      const std::string name = cache.name_of(std::to_string(i));
      if (cache.find(name)) {
        ++found;
      } else {
        cache.put(name, {.headers = {{"etag", "x"}}, .body = std::string(10'000, 'b')});
      }
    }
  CHECK(found > 200);
}

TEST_CASE("the key of the names is made once, kept to its owner, and refused when it is damaged") {
  const Folder folder;
  const fs::path file = folder.path / "hash.key";
  const auto made = open_keyed_hash(file);
  REQUIRE(made);
  CHECK(open_keyed_hash(file)->name("x") == made->name("x"));
  CHECK(random_keyed_hash().name("x") != made->name("x"));
  CHECK(fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  fs::resize_file(file, 16);
  REQUIRE_FALSE(open_keyed_hash(file));
  CHECK(open_keyed_hash(file).error().find("hash.key") != std::string::npos);
}
