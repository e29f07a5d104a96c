// No piece of memory is given back with a key in it, as far as the daemon's own hands go.
#include <malloc.h>
#include <string.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <nlohmann/json.hpp>
#include <string_view>

#include "fetch_world.hpp"
#include "host_support.hpp"
#include "ops/log.hpp"

namespace {

// Never as a std::string: that would be one of the copies that are looked for.
constexpr std::string_view short_key = "Nx7-short";
constexpr std::string_view long_key = "Nx7-long-key-that-no-string-keeps-inside-itself";
constexpr std::string_view needle = "Nx7-";

std::atomic<int> found{0};

void look_into(void* memory) noexcept {
  if (memmem(memory, malloc_usable_size(memory), needle.data(), needle.size()) != nullptr) ++found;
}

}  // namespace

void* operator new(std::size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
// A sanitizer's own would not go with our delete.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size == 0 ? 1 : size); }
void operator delete(void* memory) noexcept {
  if (memory == nullptr) return;
  look_into(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace restream::test {

namespace {

FetcherKeys keys_of(std::string_view value) {
  FetcherKeys keys;
  keys["api-key"] = value;
  return keys;
}

}  // namespace

TEST_CASE("a std::string that goes with a key in it is found: the test can fail") {
  found = 0;
  {
    const std::string copy(long_key);
  }
  CHECK(found == 1);
  {
    std::string wiped(long_key);
    wipe(wiped);
  }
  CHECK(found == 1);
}

TEST_CASE("values are wiped when they are replaced and when they go") {
  found = 0;
  for (const std::string_view value : {short_key, long_key}) {
    FetcherKeys keys = keys_of(value);
    FetcherKeys other = keys;
    keys["api-key"] = "another value, which is as long as it likes to be";
    CHECK(other.at("api-key").text() == value);
    SecretText taken = std::move(other.at("api-key"));
    CHECK(taken.text() == value);
    other.clear();
  }
  CHECK(found == 0);
}

TEST_CASE("a fetcher leaves no key behind: its polls, their requests, its old keys, and itself") {
  found = 0;
  for (const std::string_view value : {short_key, long_key}) {
    World world;
    world.load();
    world.fetcher.set_keys(keys_of(value));
    world.fetcher.want(world.home(), {});
    world.core.advance(0ms);
    REQUIRE(world.calls.size() == 1);
    CHECK(world.calls[0].request.text().find(value) != std::string::npos);
    world.poll();
    world.fetcher.set_keys(keys_of("a new value"));
    world.core.advance(100s);
    world.poll();
    world.fetcher.set_keys(keys_of(value));
  }
  CHECK(found == 0);
}

TEST_CASE("a key with every kind of character reaches the plugin as it is") {
  World world;
  world.load();
  std::string odd = "quote \" backslash \\ slash / \xc3\xa9 \xf0\x9f\x94\x91 ";
  for (char c = 1; c < 0x20; ++c) odd += c;
  world.fetcher.set_keys({{"api-key", odd}, {"undeclared", "x"}});
  world.fetcher.want(world.home(), {});
  world.core.advance(0ms);
  REQUIRE(world.calls.size() == 1);
  CHECK(nlohmann::json::parse(world.calls[0].request.text()).at("keys") == nlohmann::json{{"api-key", odd}});
}

TEST_CASE("the log forgets the keys that it looked for") {
  found = 0;
  const Log log = Log::none();
  for (const std::string_view value : {short_key, long_key}) {
    std::vector<std::string> values;
    values.emplace_back(value);
    log.set_secrets(std::move(values));
    CHECK(log.redact("nothing of it in here") == "nothing of it in here");
    log.set_secrets({});
  }
  CHECK(found == 0);
}

TEST_CASE("the frame that takes a call to its host is wiped when it is sent") {
  Host host("actor");
  host.started();
  found = 0;
  bool done = false;
  host.process->call(HostFunction::fetch, long_key, std::chrono::steady_clock::now() + 60s, [&](const CallResult& end) {
    CHECK(end.code == RESTREAM_BAD_REQUEST);  // it does not know such an act
    done = true;
  });
  REQUIRE(host.run_until([&] { return done; }));
  CHECK(found == 0);
}

}  // namespace restream::test
