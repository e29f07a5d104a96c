#include "store/schema.hpp"

#include <sqlite3.h>

#include <array>
#include <string>

#include "store/statement.hpp"

namespace restream {

namespace {

// Times are milliseconds since 1970. Channels have small integer keys, so that their ids are not repeated in every row.
// The snapshot's order is apart from the channel, for the schedule is written with every poll and the order seldom.
constexpr const char* version_1 = R"(
CREATE TABLE channel (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  epoch INTEGER NOT NULL,
  head INTEGER NOT NULL,
  first INTEGER NOT NULL,
  items INTEGER NOT NULL,
  last_poll INTEGER,
  not_before INTEGER,
  failures INTEGER NOT NULL,
  last_demand INTEGER NOT NULL
) STRICT;
CREATE TABLE item_order (
  channel INTEGER PRIMARY KEY,
  ids BLOB NOT NULL
) STRICT;
CREATE TABLE item (
  channel INTEGER NOT NULL,
  id TEXT NOT NULL,
  raw BLOB NOT NULL,
  content BLOB NOT NULL,
  missing INTEGER NOT NULL,
  left_at INTEGER,
  json TEXT NOT NULL,
  PRIMARY KEY (channel, id)
) STRICT;
CREATE TABLE event (
  channel INTEGER NOT NULL,
  position INTEGER NOT NULL,
  time INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  id TEXT NOT NULL,
  json TEXT NOT NULL,
  patch TEXT NOT NULL,
  PRIMARY KEY (channel, position)
) STRICT;
)";

// What was spent of quotas: seldom written, small, and read only at the start.
constexpr const char* version_2 = R"(
CREATE TABLE quota (
  budget TEXT PRIMARY KEY,
  ahead INTEGER NOT NULL,
  api_left INTEGER,
  api_renews INTEGER,
  uses TEXT NOT NULL
) STRICT;
)";

// What was before an event, for those who see the channel through a filter. The events that are there have none.
constexpr const char* version_3 = R"(
ALTER TABLE event ADD COLUMN undo TEXT NOT NULL DEFAULT '';
ALTER TABLE channel ADD COLUMN undoable INTEGER NOT NULL DEFAULT 1;
UPDATE channel SET undoable = head + 1;
)";

// Whose backoff it is. Of those that run, nobody knows.
constexpr const char* version_4 = "ALTER TABLE channel ADD COLUMN refused_keys INTEGER NOT NULL DEFAULT 0;";

constexpr std::array migrations_in_order = {version_1, version_2, version_3, version_4};

}  // namespace

std::span<const char* const> schema_migrations() { return migrations_in_order; }

void migrate(sqlite3* database, std::int64_t version, std::span<const char* const> migrations) {
  for (auto next = static_cast<std::size_t>(version); next < migrations.size(); ++next) {
    const std::string step = std::string(migrations[next]) + ";PRAGMA user_version=" + std::to_string(next + 1);
    execute(database, "BEGIN IMMEDIATE");
    try {
      execute(database, step.c_str());
      execute(database, "COMMIT");
    } catch (const StoreError&) {
      if (sqlite3_get_autocommit(database) == 0) sqlite3_exec(database, "ROLLBACK", nullptr, nullptr, nullptr);
      throw;
    }
  }
}

}  // namespace restream
