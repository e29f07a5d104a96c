// What polls leave behind besides items: counts, and lines in the log.
#include <algorithm>

#include "fetch_world.hpp"

using namespace restream;
using namespace restream::test;

TEST_CASE("items without an id or with one twice are told of when their number changes, and counted each time") {
  World world;
  world.load();
  world.fetcher.want(world.home(), {});
  const auto warned = [&world] {
    return std::ranges::count_if(world.lines, [](const auto& line) {
      return line.first == LogLevel::warning && line.second.find("items without an id") != std::string::npos;
    });
  };
  const auto poll = [&world](std::size_t skipped, std::size_t repeated) {
    world.core.advance(100s);
    world.answer(R"({"status_code":200,"result":[]})");
    world.commit({.skipped = skipped, .repeated = repeated});
  };
  for (int i = 0; i < 5; ++i) poll(2, 1);
  CHECK(warned() == 1);
  poll(2, 3);
  CHECK(warned() == 2);
  poll(0, 0);
  CHECK(warned() == 2);
  poll(2, 3);
  CHECK(warned() == 3);
  CHECK(world.fetcher.counts().skipped == 14);
  CHECK(world.fetcher.counts().repeated == 11);
}
