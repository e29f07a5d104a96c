// The shape of the database file, version by version. docs/state.md describes it.
#pragma once

#include <cstdint>
#include <span>

struct sqlite3;

namespace restream {

// In the file's header: whose file it is. "rstr" in ASCII.
constexpr std::int64_t application_id = 0x72737472;
// Instead of it in a copy that nobody has begun to use. "rstc".
constexpr std::int64_t copy_application_id = 0x72737463;

// What turns version n-1 into version n is at place n-1. Append only: files of every version are out there.
std::span<const char* const> schema_migrations();

// Brings the file from `version` to the last one; each step is a transaction of its own with its PRAGMA user_version.
// Throws StoreError.
void migrate(sqlite3* database, std::int64_t version, std::span<const char* const> migrations);

}  // namespace restream
