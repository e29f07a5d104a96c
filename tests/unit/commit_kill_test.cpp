// kill -9 in the middle of commits: what was reported is there, and items and events agree.
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "channel/committer.hpp"
#include "store/sqlite_store.hpp"

using namespace restream;  // NOLINT: tests
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::shared_ptr<const CommitRules> rules() {
  auto made = std::make_shared<CommitRules>();
  made->diff.id_field = "id";
  made->complete = true;
  made->keep_events = 1'000'000;
  return made;
}

// In the child: polls whose results never stop changing. Reports each head once it is committed.
[[noreturn]] void commit_for_ever(const fs::path& directory, int report, unsigned seed) {
  auto store = open_sqlite_store(directory);
  if (!store) ::_exit(1);
  Committer committer(**store);
  std::mt19937 random(seed);
  for (;;) {
    json items = json::array();
    for (int id = 0; id < 12; ++id)
      if (random() % 4 != 0)
        items.push_back({{"id", id}, {"n", random() % 3}, {"fill", std::string(random() % 3000, 'x')}});
    const PollInput input{.channel = "c",
                          .epoch = 7,
                          .rules = rules(),
                          .result = json{{"status_code", 200}, {"result", items}}.dump(),
                          .now = std::chrono::system_clock::now(),
                          .schedule = {}};
    const auto group = committer.commit(std::span(&input, 1), {});
    if (!group.problem.empty()) ::_exit(2);
    const std::uint64_t head = group.polls[0].head.offset;
    if (::write(report, &head, sizeof head) != sizeof head) ::_exit(3);
  }
}

// The items that somebody has who heard every event from the first.
std::map<std::string, json> replay(const std::vector<Event>& events) {
  std::map<std::string, json> items;
  for (const Event& event : events) {
    const Change& change = event.change;
    switch (change.kind) {
      case ChangeKind::new_item:
        REQUIRE(items.emplace(change.id, json::parse(change.item)).second);
        break;
      case ChangeKind::updated_item: {
        const json patched = items.at(change.id).patch(json::parse(change.patch));
        REQUIRE(patched == json::parse(change.item));
        items[change.id] = patched;
        break;
      }
      case ChangeKind::removed_item:
        REQUIRE(items.erase(change.id) == 1);
        break;
    }
  }
  return items;
}

}  // namespace

TEST_CASE("After a kill -9 nothing that was committed is lost, and items and events agree") {
  std::string path = (fs::temp_directory_path() / "restream-kill-XXXXXX").string();
  REQUIRE(::mkdtemp(path.data()) != nullptr);
  const fs::path directory = path;
  std::mt19937 random(4711);
  std::uint64_t reported = 0;
  for (unsigned round = 0; round < 20; ++round) {
    std::array<int, 2> report{};
    REQUIRE(::pipe(report.data()) == 0);
    const pid_t child = ::fork();
    if (child == 0) commit_for_ever(directory, report[1], round);
    ::close(report[1]);
    std::uint64_t head = 0;
    // Wait for the first commit, so that each round gets somewhere, then for an instant of any length.
    REQUIRE(::read(report[0], &head, sizeof head) == sizeof head);
    ::usleep(static_cast<useconds_t>(random() % 30'000));
    ::kill(child, SIGKILL);
    do reported = std::max(reported, head);
    while (::read(report[0], &head, sizeof head) == sizeof head);
    ::close(report[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));

    const auto store = open_sqlite_store(directory);
    INFO((store ? "" : store.error().message));
    REQUIRE(store);
    const ChannelRecord record = (*store)->channel("c").value();
    CHECK(record.head.offset >= reported);
    const auto events = (*store)->events("c", {.epoch = 7, .offset = 0}, 1ULL << 40U);
    REQUIRE(events);
    REQUIRE(events->size() == record.head.offset);
    for (std::size_t i = 0; i < events->size(); ++i) REQUIRE((*events)[i].offset == i + 1);
    std::map<std::string, json> kept;
    const Snapshot snapshot = (*store)->snapshot("c").value();
    for (const Item& item : snapshot.items) kept.emplace(item.id, json::parse(item.json));
    CHECK(kept == replay(*events));
    CHECK(kept.size() == record.items);
  }
  CHECK(reported > 100);
  fs::remove_all(directory);
}
