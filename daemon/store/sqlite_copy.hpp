// A copy of an open SQLite database, made beside its use by SQLite's online backup.
#pragma once

#include <filesystem>
#include <memory>

#include "store/store.hpp"

struct sqlite3;

namespace restream {

// Begins to copy `database` to `file` (0600, replaced as a whole at the end). Throws StoreError.
std::unique_ptr<StoreCopy> copy_sqlite(sqlite3* database, const std::filesystem::path& file);

}  // namespace restream
