// Opening the state file: make it, or check that it is ours and whole, and bring it to the schema of today.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>

#include "store/schema.hpp"
#include "store/sqlite_database.hpp"
#include "store/sqlite_store.hpp"
#include "store/state_lock.hpp"
#include "store/statement.hpp"

namespace restream {

namespace {

using Kind = StoreOpenError::Kind;
namespace fs = std::filesystem;

// Checking reads the whole file. Beyond this size a start would take longer than people wait for; damage in a larger
// file shows as failing commits or reads instead.
constexpr std::uintmax_t largest_checked = 256ULL << 20U;

StoreOpenError damaged(const fs::path& path, const std::string& why) {
  return {Kind::damaged, path.string() + " " + why +
                             "; it is left as it is. To start without it, move it and its -wal " +
                             "file out of the way: restream begins anew, and subscribers get snapshots"};
}

StoreOpenError from_sqlite(const fs::path& path, sqlite3* database, int code) {
  const std::string why =
      std::string(sqlite3_errstr(code)) + " (SQLite code " + std::to_string(sqlite3_extended_errcode(database)) + ")";
  switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return damaged(path, "is not a whole database: " + why);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Kind::in_use, path.string() + " is held open by another program (not a restreamd: those lock the " +
                                "directory); close that one first"};
    default:
      return {Kind::io, "cannot use " + path.string() + ": " + why +
                            "; look at the directory's owner, permissions and free space"};
  }
}

// The first column of the first row.
struct Answer {
  std::int64_t number = 0;
  std::string text;
};

std::expected<Answer, StoreOpenError> ask(sqlite3* database, const fs::path& path, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(database, sql, -1, &statement, nullptr);
  Answer answer;
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    const int size = sqlite3_column_bytes(statement, 0);
    if (const void* bytes = sqlite3_column_blob(statement, 0); bytes != nullptr)
      answer.text.assign(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
    answer.number = sqlite3_column_int64(statement, 0);
    code = SQLITE_OK;
  }
  std::optional<StoreOpenError> error;
  if (code != SQLITE_OK && code != SQLITE_DONE) error = from_sqlite(path, database, code);
  sqlite3_finalize(statement);
  if (error) return std::unexpected(*error);
  return answer;
}

std::expected<Database, StoreOpenError> connect(const fs::path& path, int flags) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database(raw);
  if (code != SQLITE_OK) return std::unexpected(from_sqlite(path, raw, code));
  sqlite3_busy_timeout(raw, 1000);
  return database;
}

// Under another name first: what has the right name is a whole database, so that an empty file is a damaged one.
std::optional<StoreOpenError> create(const fs::path& path) {
  fs::path fresh = path;
  fresh += ".new";
  fs::path journal = fresh;
  journal += "-journal";
  std::error_code ignored;
  fs::remove(fresh, ignored);
  fs::remove(journal, ignored);
  const auto failed = [&](const std::string& why) {
    return StoreOpenError{Kind::io, "cannot make " + path.string() + ": " + why +
                                        "; look at the directory's owner, permissions and free space"};
  };
  {
    auto database = connect(fresh, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (!database) return database.error();
    if (::chmod(fresh.c_str(), 0600) != 0) return failed(std::strerror(errno));
    try {
      // Incremental: pages that a forgotten channel leaves are given back bit by bit (see SqliteStore::give_back).
      execute(database->get(), "PRAGMA auto_vacuum=INCREMENTAL");
      execute(database->get(), ("PRAGMA application_id=" + std::to_string(application_id)).c_str());
      migrate(database->get(), 0, schema_migrations());
    } catch (const StoreError& error) {
      return failed(error.what());
    }
  }
  fs::rename(fresh, path, ignored);
  if (ignored) return failed(ignored.message());
  const int directory = ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
  return std::nullopt;
}

// Everything that can be said against the file, in the order in which it makes sense.
std::optional<StoreOpenError> refuse(sqlite3* database, const fs::path& path, std::int64_t& version, bool& copy) {
  auto answer = ask(database, path, "PRAGMA application_id");
  if (!answer) return answer.error();
  copy = answer->number == copy_application_id;
  if (!copy && answer->number != application_id) return damaged(path, "is a database of another program");
  answer = ask(database, path, "PRAGMA user_version");
  if (!answer) return answer.error();
  version = answer->number;
  const auto newest = static_cast<std::int64_t>(schema_migrations().size());
  if (version > newest)
    return StoreOpenError{Kind::damaged, path.string() + " was made by a newer restream (schema " +
                                             std::to_string(version) + ", this one knows up to " +
                                             std::to_string(newest) + "); it is left as it is. Install that version " +
                                             "again, or give this one another state.directory"};
  if (version < 1) return damaged(path, "has no schema");
  std::error_code error;
  if (fs::file_size(path, error) > largest_checked) return std::nullopt;
  answer = ask(database, path, "PRAGMA quick_check(1)");
  if (!answer) return answer.error();
  if (answer->text != "ok") return damaged(path, "is damaged: " + answer->text);
  return std::nullopt;
}

// A copy that is put to use is a past that the subscribers have left behind: what comes now gets offsets that other
// events have had. With new epochs nobody can mistake one for the other.
void begin_anew(sqlite3* database) {
  execute(database, ("BEGIN IMMEDIATE; UPDATE channel SET epoch = random(); PRAGMA application_id=" +
                     std::to_string(application_id) + "; COMMIT")
                        .c_str());
}

// Whether the file, without its log, is a copy that nobody has begun to use.
bool is_untouched_copy(const fs::path& path) {
  constexpr std::streamoff where = 68;  // of the application's id in a database's header, most significant byte first
  std::array<char, 4> bytes{};
  std::ifstream file(path, std::ios::binary);
  if (!file.seekg(where) || !file.read(bytes.data(), bytes.size())) return false;
  std::int64_t id = 0;
  for (const char byte : bytes) id = id << 8 | static_cast<unsigned char>(byte);
  return id == copy_application_id;
}

std::expected<Database, StoreOpenError> open_existing(const fs::path& path) {
  auto opened = connect(path, SQLITE_OPEN_READWRITE);
  if (!opened) return opened;
  sqlite3* database = opened->get();
  // Until the file is accepted nothing may be moved from its -wal into it, not even by closing it.
  sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  // EXCLUSIVE: one connection, and no -shm file to be mapped, which a full disk could turn into a SIGBUS.
  if (auto mode = ask(database, path, "PRAGMA locking_mode=EXCLUSIVE"); !mode) return std::unexpected(mode.error());
  std::int64_t version = 0;
  bool copy = false;
  if (auto error = refuse(database, path, version, copy)) return std::unexpected(*error);
  try {
    // Before there is a log beside it, so that a log beside a copy is never its own.
    if (copy) begin_anew(database);
  } catch (const StoreError& error) {
    return std::unexpected(StoreOpenError{Kind::io, path.string() + ": " + error.what()});
  }
  const auto journal = ask(database, path, "PRAGMA journal_mode=WAL");
  if (!journal) return std::unexpected(journal.error());
  if (journal->text != "wal")
    return std::unexpected(StoreOpenError{Kind::io, "cannot keep a write-ahead log beside " + path.string() +
                                                        "; state.directory must be on a local file system"});
  try {
    execute(database, "PRAGMA synchronous=FULL");
    execute(database, "PRAGMA journal_size_limit=16777216");  // a log that grew is cut back to 16 MiB
    execute(database, "PRAGMA cache_size=-16384");            // 16 MiB
    execute(database, "PRAGMA temp_store=MEMORY");
    migrate(database, version, schema_migrations());
  } catch (const StoreError& error) {
    return std::unexpected(StoreOpenError{Kind::io, path.string() + ": " + error.what()});
  }
  sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  return opened;
}

}  // namespace

void CloseDatabase::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

std::expected<std::unique_ptr<Store>, StoreOpenError> open_sqlite_store(const fs::path& directory) {
  std::error_code error;
  if (!fs::exists(directory, error)) {
    fs::create_directories(directory.parent_path(), error);
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
      return std::unexpected(StoreOpenError{Kind::io, "cannot make the state directory " + directory.string() + ": " +
                                                          std::strerror(errno) +
                                                          "; make it, or name another in state.directory"});
  }
  auto lock = StateLock::take(directory);
  if (!lock) return std::unexpected(lock.error());

  const fs::path path = directory / "restream.db";
  fs::path log = path;
  log += "-wal";
  if (fs::is_symlink(path, error) && !fs::exists(path, error))
    return std::unexpected(StoreOpenError{Kind::damaged, path.string() + " is a link to a file that is not there; " +
                                                             "is its disk mounted? To begin anew, remove the link"});
  if (!fs::exists(path, error)) {
    // The new file must not take up the log of another one.
    if (fs::exists(log, error))
      return std::unexpected(StoreOpenError{Kind::damaged, path.string() + " is missing, but its " + log.string() +
                                                               " is there; put the file back, or move that one away"});
    if (auto failed = create(path)) return std::unexpected(*failed);
  } else if (fs::is_regular_file(path, error) && fs::file_size(path, error) == 0) {
    return std::unexpected(damaged(path, "is empty"));
  } else if (fs::exists(log, error) && is_untouched_copy(path)) {
    return std::unexpected(StoreOpenError{Kind::damaged, path.string() + " is a backup that was put back beside the " +
                                                             log.string() + " of another; move that one away"});
  }
  auto database = open_existing(path);
  if (!database) return std::unexpected(database.error());
  try {
    return make_sqlite_store(std::move(*lock), std::move(*database));
  } catch (const StoreError& failure) {  // the schema is not what its version says
    return std::unexpected(damaged(path, std::string("is damaged: ") + failure.what()));
  }
}

}  // namespace restream
