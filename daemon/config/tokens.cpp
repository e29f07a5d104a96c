#include "config/tokens.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>

#include "config/yaml_value.hpp"

namespace restream {

namespace {

constexpr std::size_t max_file_size = 1U << 20U;
constexpr mode_t too_open = S_IWGRP | S_IRWXO;

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

Sha256 read_sha256(const Value& value) {
  // Not shown in errors: somebody may have written the token itself here.
  const auto refuse = [&value] {
    value.refuse("must be the SHA-256 of the token, 64 hex digits; printf %s TOKEN | sha256sum makes it");
  };
  Sha256 out{};
  if (!value.node.IsScalar() || value.node.Scalar().size() != out.size() * 2) refuse();
  const std::string& text = value.node.Scalar();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto high = hex_digit(text[2 * i]);
    const auto low = hex_digit(text[2 * i + 1]);
    if (!high || !low) refuse();
    out[i] = static_cast<std::uint8_t>(*high * 16 + *low);
  }
  return out;
}

// The number that the next `digits` characters make; they are taken away.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  int number = 0;
  if (text.size() < digits) return std::nullopt;
  const auto read = std::from_chars(text.data(), text.data() + digits, number);
  if (read.ec != std::errc{} || read.ptr != text.data() + digits || text[0] == '-') return std::nullopt;
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, std::string_view either) {
  if (text.empty() || either.find(text[0]) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// "2027-01-31T12:00:00Z", with an offset instead of the Z, or with a fraction of a second, which is dropped.
std::optional<WallTime> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  const auto number = [&text](std::size_t digits) { return take_number(text, digits).value_or(-1); };
  const int y = number(4);
  if (!take(text, "-")) return std::nullopt;
  const int m = number(2);
  if (!take(text, "-")) return std::nullopt;
  const int d = number(2);
  if (!take(text, "Tt ")) return std::nullopt;
  const int hour = number(2);
  if (!take(text, ":")) return std::nullopt;
  const int minute = number(2);
  if (!take(text, ":")) return std::nullopt;
  const int second = number(2);
  if (y < 0 || m < 1 || d < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return std::nullopt;
  if (take(text, ".")) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
    if (end == 0) return std::nullopt;
    text.remove_prefix(end);
  }
  minutes offset{0};
  if (!take(text, "Zz")) {
    const int sign = text.starts_with('-') ? -1 : 1;
    if (!take(text, "+-")) return std::nullopt;
    const int hours_away = number(2);
    if (!take(text, ":")) return std::nullopt;
    const int minutes_away = number(2);
    if (hours_away < 0 || hours_away > 23 || minutes_away < 0 || minutes_away > 59) return std::nullopt;
    offset = sign * (hours(hours_away) + minutes(minutes_away));
  }
  const year_month_day date{year(y), month(static_cast<unsigned>(m)), day(static_cast<unsigned>(d))};
  if (!text.empty() || !date.ok()) return std::nullopt;
  // A WallTime ends in the year 2262, and "never" is often written as the year 9999.
  constexpr sys_seconds latest = sys_days(year(2242) / 1 / 1);
  const sys_seconds time = sys_days(date) + hours(hour) + minutes(minute) + seconds(second) - offset;
  return std::clamp(time, sys_seconds(), latest);
}

TokenEntry read_token(const Value& value) {
  const Mapping in(value);
  in.allow_only({"name", "sha256", "channels", "expires"});
  TokenEntry out;
  out.name = in.required("name").text("a name for the log");
  out.sha256 = read_sha256(in.required("sha256"));
  if (const auto channels = in.find("channels")) {
    out.channels.clear();
    for (const Value& one : channels->list()) out.channels.push_back(one.text("a channel id, in which * is any text"));
  }
  if (const auto expires = in.find("expires")) {
    const std::string what = "a time such as 2027-01-31T12:00:00Z (RFC 3339, with its zone)";
    if (!expires->node.IsScalar()) expires->expected(what);
    out.expires = parse_rfc3339(expires->node.Scalar());
    if (!out.expires) expires->expected(what);
  }
  return out;
}

std::vector<TokenEntry> read_tokens(const Value& document) {
  std::vector<TokenEntry> out;
  if (!document.node.IsSequence())
    throw Refusal{document.line, "a list of tokens is expected: - {name: …, sha256: …, channels: […], expires: …}"};
  for (Value& one : document.list()) {
    one.name = "token " + std::to_string(out.size() + 1);
    TokenEntry entry = read_token(one);
    for (const TokenEntry& before : out) {
      if (before.name == entry.name) one.refuse("the name '" + entry.name + "' is given twice");
      if (before.sha256 == entry.sha256)
        one.refuse("'" + entry.name + "' and '" + before.name + "' are the same token");
    }
    out.push_back(std::move(entry));
  }
  return out;
}

// Closes itself.
struct Descriptor {
  int number = -1;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

std::expected<std::vector<TokenEntry>, ConfigError> parse_tokens(const std::string& yaml, const std::string& file) {
  try {
    const std::optional<Value> document = read_document(yaml);
    return document ? read_tokens(*document) : std::vector<TokenEntry>();
  } catch (const Refusal& refusal) {
    const std::string where = refusal.line > 0 ? file + ":" + std::to_string(refusal.line) : file;
    return std::unexpected(ConfigError{.where = where, .message = refusal.message});
  }
}

std::expected<std::vector<TokenEntry>, ConfigError> load_tokens(const std::filesystem::path& file) {
  const auto fail = [&file](std::string message) {
    return std::unexpected(ConfigError{.where = file.string(), .message = std::move(message)});
  };
  const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (in.number < 0)
    return fail("cannot be read: " + std::string(std::strerror(errno)) + "; auth.tokens names the file of tokens");
  struct stat about{};
  if (::fstat(in.number, &about) != 0 || !S_ISREG(about.st_mode)) return fail("is not a regular file");
  if ((about.st_mode & too_open) != 0)
    return fail("may be read or changed by others than its owner and group; run: chmod 640 " + file.string());
  std::string yaml;
  std::array<char, 65536> chunk{};
  while (yaml.size() <= max_file_size) {
    const ssize_t size = ::read(in.number, chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail("cannot be read: " + std::string(std::strerror(errno)));
    if (size == 0) return parse_tokens(yaml, file.string());
    yaml.append(chunk.data(), static_cast<std::size_t>(size));
  }
  return fail("is larger than 1 MiB; that is no list of tokens");
}

}  // namespace restream
