// The log: one line per event, logfmt or JSON, on standard error (with journald's level prefix when it reads us).
//
// A Log is a small value that shares its sink; hand it down by constructor. May be used from any thread. Key values of
// 8 characters or more are redacted from every line: set_secrets().
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace restream {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

// `name=value`, quoted where it needs to be.
struct LogField {
  std::string_view name;
  std::string value;
};

class Log {
 public:
  using Sink = std::function<void(LogLevel, const std::string& line)>;

  // Lines below `least` are dropped. The sink is called under a lock, one line at a time, without a line end.
  Log(Sink sink, LogLevel least);

  // Standard error through spdlog, `time=… level=info msg="…" name=value`; under journald (JOURNAL_STREAM names our
  // standard error) `<6>msg…` without a time. JSON likewise: time and level stand first, or `<6>` before the brace.
  static Log to_standard_error(LogLevel least);
  // Drops everything; for tests.
  static Log none();

  void debug(std::string_view message, std::initializer_list<LogField> fields = {}) const;
  void info(std::string_view message, std::initializer_list<LogField> fields = {}) const;
  void warning(std::string_view message, std::initializer_list<LogField> fields = {}) const;
  void error(std::string_view message, std::initializer_list<LogField> fields = {}) const;
  void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) const;

  // Whether such a line would be written: for lines that cost something to make.
  [[nodiscard]] bool writes(LogLevel level) const;
  // From now on.
  void set_level(LogLevel least) const;
  // From now on `{"msg":"…","name":"value"}` in place of `msg="…" name=value`.
  void set_json(bool json) const;
  // Replaces the values that must never be seen; also caught percent-encoded and in base64. Wipes the ones before, and
  // `values`.
  void set_secrets(std::vector<std::string> values) const;
  // `text` with those values replaced by "[redacted]": for status messages, which leave by another way than the log.
  [[nodiscard]] std::string redact(std::string_view text) const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace restream
