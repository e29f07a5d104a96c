#include "ops/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>

#include "ops/redactor.hpp"
#include "ops/utf8.hpp"

namespace restream {

namespace {

constexpr std::size_t longest_value = 8U << 10U;  // a plugin may hand us anything; journald splits lines at 48 KiB

void append_byte(std::string& line, char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto byte = static_cast<std::uint8_t>(c);
  line += "\\x";
  line += digits[byte >> 4U];
  line += digits[byte & 15U];
}

// In quotes, on one line, without anything that a terminal would obey; the inside of a JSON text, too, where `json`
// says so: that knows no \x, so the backslash of one is escaped itself.
void append_quoted(std::string& line, std::string_view text, bool json) {
  line += '"';
  const bool cut = text.size() > longest_value;
  if (cut) text = text.substr(0, longest_value);
  while (!text.empty()) {
    std::size_t size = utf8_character_size(text);
    if (size > 1 && is_control_character(text.substr(0, size))) size = 0;
    const char c = text.front();
    if (size > 1) {
      line += text.substr(0, size);
    } else if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (c == '\n') {
      line += "\\n";
    } else if (c == '\r') {
      line += "\\r";
    } else if (c == '\t') {
      line += "\\t";
    } else if (size == 0 || c < ' ' || c == 0x7f) {
      if (json) line += '\\';
      append_byte(line, c);
    } else {
      line += c;
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  line += cut ? " [cut]\"" : "\"";
}

bool is_bare(char c) {
  constexpr std::string_view others = "-_.:/+@%,;~*?&()[]#!$";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         others.find(c) != std::string_view::npos;
}

void append_value(std::string& line, std::string_view text) {
  if (!text.empty() && text.size() <= longest_value && std::ranges::all_of(text, is_bare))
    line += text;
  else
    append_quoted(line, text, false);
}

// systemd sets it to "DEVICE:INODE" of the stream that leads to the journal; a child may have inherited the variable
// and yet write elsewhere.
bool journald_reads_us() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat ours{};
  if (stream == nullptr || fstat(STDERR_FILENO, &ours) != 0) return false;
  return std::string(stream) == std::to_string(ours.st_dev) + ":" + std::to_string(ours.st_ino);
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  constexpr std::array levels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};
  return levels[static_cast<std::size_t>(level)];
}

}  // namespace

struct Log::Shared {
  Shared(Sink sink_given, LogLevel least_given) : sink(std::move(sink_given)), least(least_given) {}

  // Constant after construction.
  const Sink sink;

  std::atomic<LogLevel> least;
  std::atomic<bool> json{false};
  std::mutex sink_mutex;  // held while the sink writes
  std::mutex mutex;
  std::shared_ptr<const Redactor> redactor = std::make_shared<Redactor>();  // GUARDED_BY mutex

  std::shared_ptr<const Redactor> current() {
    const std::scoped_lock lock(mutex);
    return redactor;
  }
};

Log::Log(Sink sink, LogLevel least) : shared_(std::make_shared<Shared>(std::move(sink), least)) {}

Log Log::to_standard_error(LogLevel least) {
  // Lines are whole already; spdlog adds what stands before them, and writes.
  const auto stream_with = [](const char* pattern) {
    auto stream = std::make_shared<spdlog::sinks::stderr_sink_st>();
    stream->set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
    return stream;
  };
  const bool journal = journald_reads_us();
  const auto plain = stream_with(journal ? "%v" : "time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v");
  const auto braced = stream_with(journal ? "%v" : R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v)");
  return Log(
      [plain, braced, journal](LogLevel level, const std::string& line) {
        constexpr std::array<std::string_view, 4> prefixes{"<7>", "<6>", "<4>", "<3>"};  // as syslog counts
        const bool json = line.starts_with('{');
        const std::string whole =
            journal ? std::string(prefixes[static_cast<std::size_t>(level)]) + line : line.substr(json ? 1 : 0);
        const auto& stream = json ? braced : plain;
        stream->log(spdlog::details::log_msg("", spdlog_level(level), whole));
        stream->flush();
      },
      least);
}

Log Log::none() {
  return Log([](LogLevel, const std::string&) {}, LogLevel::error);
}

void Log::debug(std::string_view message, std::initializer_list<LogField> fields) const {
  write(LogLevel::debug, message, fields);
}
void Log::info(std::string_view message, std::initializer_list<LogField> fields) const {
  write(LogLevel::info, message, fields);
}
void Log::warning(std::string_view message, std::initializer_list<LogField> fields) const {
  write(LogLevel::warning, message, fields);
}
void Log::error(std::string_view message, std::initializer_list<LogField> fields) const {
  write(LogLevel::error, message, fields);
}

void Log::write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) const {
  if (!writes(level)) return;
  const std::shared_ptr<const Redactor> redactor = shared_->current();
  const bool json = shared_->json;
  std::string line = json ? R"({"msg":)" : "msg=";
  append_quoted(line, redactor->redact(message), json);
  for (const LogField& field : fields) {
    const std::string value = redactor->redact(field.value);  // before it is quoted: escapes would hide a secret
    line += json ? ",\"" : " ";
    line += field.name;
    line += json ? "\":" : "=";
    if (json)
      append_quoted(line, value, true);
    else
      append_value(line, value);
  }
  if (json) line += '}';
  const std::scoped_lock lock(shared_->sink_mutex);
  shared_->sink(level, line);
}

bool Log::writes(LogLevel level) const { return level >= shared_->least; }
void Log::set_level(LogLevel least) const { shared_->least = least; }
void Log::set_json(bool json) const { shared_->json = json; }

void Log::set_secrets(std::vector<std::string> values) const {
  auto redactor = std::make_shared<const Redactor>(values);
  for (std::string& value : values) wipe(value);
  const std::scoped_lock lock(shared_->mutex);
  shared_->redactor = std::move(redactor);
}

std::string Log::redact(std::string_view text) const { return shared_->current()->redact(text); }

}  // namespace restream
