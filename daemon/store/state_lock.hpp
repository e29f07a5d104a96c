// One daemon per state directory: a lock on `directory`/lock that the kernel drops when its holder dies, however it
// dies. The file holds the pid of whoever has (or last had) the lock; it is never deleted, as that would race.
#pragma once

#include <expected>
#include <filesystem>

#include "store/sqlite_store.hpp"

namespace restream {

class StateLock {
 public:
  static std::expected<StateLock, StoreOpenError> take(const std::filesystem::path& directory);
  StateLock(StateLock&& other) noexcept;
  StateLock& operator=(StateLock&& other) noexcept;
  ~StateLock();

 private:
  explicit StateLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace restream
