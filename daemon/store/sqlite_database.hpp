// What sqlite_open.cpp hands to sqlite_store.cpp: an opened, checked and migrated database.
#pragma once

#include <memory>

#include "store/state_lock.hpp"
#include "store/store.hpp"

struct sqlite3;

namespace restream {

struct CloseDatabase {
  void operator()(sqlite3* database) const;
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

// The lock is let go after the database is closed.
std::unique_ptr<Store> make_sqlite_store(StateLock lock, Database database);

}  // namespace restream
