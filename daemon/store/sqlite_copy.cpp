#include "store/sqlite_copy.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "store/schema.hpp"
#include "store/sqlite_database.hpp"
#include "store/statement.hpp"

namespace restream {

namespace {

namespace fs = std::filesystem;

constexpr int pages_at_once = 1024;  // 4 MiB: a commit waits some milliseconds for one step

class SqliteCopy final : public StoreCopy {
 public:
  SqliteCopy(sqlite3* from, fs::path file) : file_(std::move(file)), fresh_(file_) {
    fresh_ += ".new";
    drop();
    fd_ = ::open(fresh_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd_ < 0) fail(std::strerror(errno));
    try {
      begin(from);
    } catch (...) {
      end();
      throw;
    }
  }
  ~SqliteCopy() override { end(); }

  bool step() override {
    const int code = sqlite3_backup_step(backup_, pages_at_once);
    if (code == SQLITE_OK) {
      // A little after each step, so that no commit waits for all of it at the end.
      if (::fdatasync(fd_) != 0) fail(std::strerror(errno));
      return false;
    }
    if (code != SQLITE_DONE) fail(sqlite3_errstr(code));
    sqlite3_backup_finish(std::exchange(backup_, nullptr));
    // One file, without a log beside it, and known for what it is.
    execute(to_.get(), "PRAGMA journal_mode=DELETE");
    execute(to_.get(), ("PRAGMA application_id=" + std::to_string(copy_application_id)).c_str());
    to_.reset();
    publish();
    return true;
  }

 private:
  void begin(sqlite3* from) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(fresh_.c_str(), &raw,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    to_.reset(raw);
    if (code != SQLITE_OK) fail(sqlite3_errstr(code));
    // Until it is whole nobody needs it, so it needs no journal; and we see to it that it is on disk.
    execute(raw, "PRAGMA locking_mode=EXCLUSIVE");
    execute(raw, "PRAGMA journal_mode=OFF");
    execute(raw, "PRAGMA synchronous=OFF");
    backup_ = sqlite3_backup_init(raw, "main", from, "main");
    if (backup_ == nullptr) fail(sqlite3_errmsg(raw));
  }

  void publish() {
    if (::fsync(fd_) != 0 || ::rename(fresh_.c_str(), file_.c_str()) != 0) fail(std::strerror(errno));
    const int directory = ::open(file_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = directory >= 0 && ::fsync(directory) == 0;
    if (directory >= 0) ::close(directory);
    if (!synced) fail(std::strerror(errno));
  }

  // What is not whole goes.
  void end() {
    if (backup_ != nullptr) sqlite3_backup_finish(std::exchange(backup_, nullptr));
    to_.reset();
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    drop();
  }
  void drop() const {
    std::error_code ignored;
    for (const char* more : {"", "-journal", "-wal"}) {
      fs::path path = fresh_;
      path += more;
      fs::remove(path, ignored);
    }
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw StoreError("cannot copy the state to " + fresh_.string() + ": " + why);
  }

  fs::path file_;
  fs::path fresh_;
  int fd_ = -1;  // besides SQLite's own, to have it written to the disk
  Database to_;
  sqlite3_backup* backup_ = nullptr;
};

}  // namespace

std::unique_ptr<StoreCopy> copy_sqlite(sqlite3* database, const fs::path& file) {
  return std::make_unique<SqliteCopy>(database, file);
}

}  // namespace restream
