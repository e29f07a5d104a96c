#include "store/statement.hpp"

#include <sqlite3.h>

#include <array>
#include <cstring>

namespace restream {

namespace {

// Hashes are compared, never searched or sorted by: the machine's byte order will do, as the file stays on it.
using FingerprintBytes = std::array<char, sizeof(Fingerprint)>;
static_assert(sizeof(Fingerprint) == 16);

}  // namespace

std::string sqlite_message(sqlite3* database, std::string_view what) {
  const int code = sqlite3_extended_errcode(database);
  std::string message(what);
  message += ": ";
  message += sqlite3_errmsg(database);
  message += " (SQLite code " + std::to_string(code) + ")";
  return message;
}

void execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    throw StoreError(sqlite_message(database, "the state database failed"));
}

Statement::Statement(sqlite3* database, std::string_view sql) : database_(database) {
  check(sqlite3_prepare_v3(database, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement_,
                           nullptr),
        "the state database does not take a statement");
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::check(int result, std::string_view what) {
  if (result == SQLITE_OK) return;
  std::string message = sqlite_message(database_, what);
  if (statement_ != nullptr) sqlite3_reset(statement_);
  throw StoreError(message);
}

bool Statement::step() {
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result != SQLITE_DONE) check(result, "the state database failed");
  sqlite3_reset(statement_);
  return false;
}

void Statement::reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

std::int64_t Statement::integer(int column) { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::text(int column) {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

WallTime Statement::time(int column) { return WallTime(Millis(integer(column))); }

std::optional<WallTime> Statement::optional_time(int column) {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
  return time(column);
}

Fingerprint Statement::fingerprint(int column) {
  const std::string_view bytes = text(column);
  Fingerprint value;
  if (bytes.size() == sizeof(Fingerprint)) std::memcpy(&value, bytes.data(), sizeof(Fingerprint));
  return value;
}

void Statement::bind_one(int place, std::int64_t value) {
  check(sqlite3_bind_int64(statement_, place, value), "the state database does not take a number");
}

void Statement::bind_one(int place, std::string_view value) {
  // Never a null pointer, which would make it NULL.
  const char* bytes = value.empty() ? "" : value.data();
  check(sqlite3_bind_text64(statement_, place, bytes, value.size(), SQLITE_STATIC, SQLITE_UTF8),
        "the state database does not take a text");
}

void Statement::bind_one(int place, Blob value) {
  const char* bytes = value.bytes.empty() ? "" : value.bytes.data();
  check(sqlite3_bind_blob64(statement_, place, bytes, value.bytes.size(), SQLITE_STATIC),
        "the state database does not take bytes");
}

void Statement::bind_one(int place, WallTime value) {
  bind_one(place, std::int64_t{std::chrono::floor<Millis>(value.time_since_epoch()).count()});
}

void Statement::bind_one(int place, const std::optional<WallTime>& value) {
  if (value)
    bind_one(place, *value);
  else
    check(sqlite3_bind_null(statement_, place), "the state database does not take a null");
}

void Statement::bind_one(int place, const Fingerprint& value) {
  const auto bytes = std::bit_cast<FingerprintBytes>(value);
  check(sqlite3_bind_blob64(statement_, place, bytes.data(), bytes.size(), SQLITE_TRANSIENT),
        "the state database does not take a fingerprint");
}

}  // namespace restream
