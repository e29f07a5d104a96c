// The store in one SQLite file: WAL, one connection, synchronous=FULL, prepared statements, schema versions.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <string>

#include "store/store.hpp"

namespace restream {

struct StoreOpenError {
  enum class Kind : std::uint8_t {
    in_use,   // another restreamd holds it; the message names its pid
    damaged,  // not a database, or one that fails its check, or made by a newer restream; never overwritten
    io,       // cannot be read or written
  };
  Kind kind{};
  std::string message;  // what, where and what to do next
};

// Opens or makes `directory`/restream.db (the directory too, 0700), holding `directory`/lock for as long as it lives.
// Migrates older schemas. A refused file and its -wal are left byte for byte as they are. No other program can read or
// write the file while it is open here.
std::expected<std::unique_ptr<Store>, StoreOpenError> open_sqlite_store(const std::filesystem::path& directory);

}  // namespace restream
