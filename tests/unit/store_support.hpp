// What the tests of the store share: a directory of their own, and writes that are short to say.
#pragma once

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "store/memory_store.hpp"
#include "store/sqlite_store.hpp"
#include "store/store.hpp"

namespace store_support {

using namespace restream;  // NOLINT: tests

// Gone with all it holds at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "restream-store-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = path;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::unique_ptr<Store> open(const std::filesystem::path& directory) {
  auto store = open_sqlite_store(directory);
  if (!store) throw std::runtime_error(store.error().message);
  return std::move(*store);
}

inline WallTime at(std::int64_t seconds) { return WallTime(Seconds(1'800'000'000 + seconds)); }

inline Trim keep_all() { return Trim{.keep = 1'000'000, .older_than = {}, .young = WallTime::max(), .now = at(0)}; }

inline Event new_item(std::uint64_t offset, const std::string& id, const std::string& json, WallTime time = at(0)) {
  return Event{
      .offset = offset, .time = time, .change = {.kind = ChangeKind::new_item, .id = id, .item = json, .patch = {}}};
}

inline ItemWrite item(const std::string& id, const std::string& json) {
  return ItemWrite{.state = {.id = id,
                             .raw = {.high = 1, .low = json.size()},
                             .content = {.high = 2, .low = 3},
                             .missing = 0,
                             .left = {}},
                   .item = json};
}

// A poll that brings `ids` as new items, with an order of its own.
inline PollWrite poll(const std::string& channel, std::uint64_t after, const std::vector<std::string>& ids,
                      WallTime time = at(0), Trim trim = keep_all()) {
  PollWrite write;
  write.channel = channel;
  write.epoch = 7;
  auto events = std::make_shared<EventBatch>();
  events->after = after;
  for (const std::string& id : ids) {
    const std::string json = R"({"id":")" + id + "\"}";
    events->events.push_back(new_item(events->last() + 1, id, json, time));
    write.items.push_back(item(id, json));
  }
  write.events = events;
  write.order = ids;
  write.schedule.last_poll = time;
  write.schedule.last_demand = time;
  write.trim = trim;
  return write;
}

inline void commit(Store& store, Write write) { store.commit(std::vector<Write>{std::move(write)}); }

}  // namespace store_support
