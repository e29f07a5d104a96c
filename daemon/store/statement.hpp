// A prepared statement: prepared once, run many times. Bindings are by place and in order.
//
//   select_.bind(key, id);
//   while (select_.step()) use(select_.integer(0));
//
// Text that is bound must live until the statement has run. A failure throws StoreError and leaves the statement ready
// to be run again.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/fingerprint.hpp"
#include "store/store.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace restream {

// What the database says of its last failure, as a sentence with `what` in front.
std::string sqlite_message(sqlite3* database, std::string_view what);

// Runs one or more statements without results.
void execute(sqlite3* database, const char* sql);

struct Blob {
  std::string_view bytes;
};

class Statement {
 public:
  Statement(sqlite3* database, std::string_view sql);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  template <typename... Values>
  Statement& bind(const Values&... values) {
    reset();
    int place = 0;
    (bind_one(++place, values), ...);
    return *this;
  }
  bool step();  // true: a row; false: done, and reset
  void run() {
    while (step()) {
    }
  }
  void reset();

  [[nodiscard]] std::int64_t integer(int column);
  [[nodiscard]] std::uint64_t unsigned_integer(int column) { return std::bit_cast<std::uint64_t>(integer(column)); }
  [[nodiscard]] std::string_view text(int column);  // until the next step
  [[nodiscard]] std::string string(int column) { return std::string(text(column)); }
  [[nodiscard]] WallTime time(int column);
  [[nodiscard]] std::optional<WallTime> optional_time(int column);
  [[nodiscard]] Fingerprint fingerprint(int column);

 private:
  void bind_one(int place, std::int64_t value);
  void bind_one(int place, std::uint64_t value) { bind_one(place, std::bit_cast<std::int64_t>(value)); }
  void bind_one(int place, std::uint32_t value) { bind_one(place, std::int64_t{value}); }
  void bind_one(int place, std::string_view value);
  void bind_one(int place, const std::string& value) { bind_one(place, std::string_view(value)); }
  void bind_one(int place, Blob value);
  void bind_one(int place, WallTime value);
  void bind_one(int place, const std::optional<WallTime>& value);
  void bind_one(int place, const Fingerprint& value);
  void check(int result, std::string_view what);

  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace restream
