#include "config/scalar.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <vector>

namespace restream {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first; the empty name is what a bare number means.
constexpr std::array time_units{Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000},
                                Unit{"s", 1000},       Unit{"", 1000},       Unit{"ms", 1}};
constexpr std::array size_units{Unit{"GiB", 1ULL << 30U}, Unit{"MiB", 1ULL << 20U}, Unit{"KiB", 1ULL << 10U},
                                Unit{"B", 1}, Unit{"", 1}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

template <std::size_t Count>
std::optional<std::uint64_t> parse_with_unit(std::string_view text, const std::array<Unit, Count>& units) {
  const auto digits = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
  const std::optional<std::uint64_t> number = parse_whole(text.substr(0, digits));
  const auto unit = std::ranges::find(units, text.substr(digits), &Unit::name);
  if (!number || unit == units.end()) return std::nullopt;
  if (*number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / unit->factor)
    return std::nullopt;
  return *number * unit->factor;
}

template <std::size_t Count>
std::string with_unit(std::uint64_t value, const std::array<Unit, Count>& units) {
  for (const Unit& unit : units)
    if (value % unit.factor == 0 && value >= unit.factor)
      return std::to_string(value / unit.factor) + std::string(unit.name);
  return std::to_string(value);
}

}  // namespace

std::optional<std::uint64_t> parse_whole(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Millis> parse_duration(std::string_view text) {
  const std::optional<std::uint64_t> millis = parse_with_unit(text, time_units);
  if (!millis) return std::nullopt;
  return Millis{static_cast<std::int64_t>(*millis)};
}

std::optional<std::uint64_t> parse_size(std::string_view text) { return parse_with_unit(text, size_units); }

std::string duration_text(Millis duration) {
  return with_unit(static_cast<std::uint64_t>(duration.count()), time_units);
}

std::string size_text(std::uint64_t bytes) { return with_unit(bytes, size_units); }

bool is_ip_address(const std::string& text) {
  in6_addr any{};
  return inet_pton(AF_INET, text.c_str(), &any) == 1 || inet_pton(AF_INET6, text.c_str(), &any) == 1;
}

bool is_network(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  if (!is_ip_address(address)) return false;
  if (slash == std::string::npos) return true;
  const std::optional<std::uint64_t> bits = parse_whole(std::string_view(text).substr(slash + 1));
  return bits && *bits <= (address.find(':') == std::string::npos ? 32U : 128U);
}

bool is_origin(std::string_view text) {
  if (text.starts_with("http://"))
    text.remove_prefix(7);
  else if (text.starts_with("https://"))
    text.remove_prefix(8);
  else
    return false;
  const std::size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos) {
    const std::optional<std::uint64_t> port = parse_whole(text.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) return false;
    text = text.substr(0, colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) {
    in6_addr six{};
    return inet_pton(AF_INET6, std::string(text.substr(1, text.size() - 2)).c_str(), &six) == 1;
  }
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_';
  });
}

bool is_fetcher_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text.front() != '-' &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-'; });
}

Plain read_plain(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return {PlainKind::null, "null"};
  if (text == "true" || text == "True" || text == "TRUE") return {PlainKind::boolean, "true"};
  if (text == "false" || text == "False" || text == "FALSE") return {PlainKind::boolean, "false"};

  std::string_view rest = text;
  std::string number;
  if (rest.front() == '-') number = "-";
  if (rest.front() == '-' || rest.front() == '+') rest.remove_prefix(1);
  if (rest == ".inf" || rest == ".Inf" || rest == ".INF" || text == ".nan" || text == ".NaN" || text == ".NAN")
    return {PlainKind::odd_number, ""};
  if (text.starts_with("0x") || text.starts_with("0o")) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + 2, end, value, text[1] == 'x' ? 16 : 8);
    if (stop != end || text.size() == 2) return {};
    return error == std::errc{} ? Plain{PlainKind::number, std::to_string(value)} : Plain{PlainKind::odd_number, ""};
  }

  // [digits] [. [digits]] [e [sign] digits], with a digit somewhere before the exponent. The digits stay as they are.
  const auto take_digits = [&rest] {
    const auto count = static_cast<std::size_t>(std::ranges::find_if_not(rest, is_digit) - rest.begin());
    const std::string digits(rest.substr(0, count));
    rest.remove_prefix(count);
    return digits;
  };
  const std::string whole = take_digits();
  std::string fraction;
  const bool point = rest.starts_with('.');
  if (point) {
    rest.remove_prefix(1);
    fraction = take_digits();
  }
  if (whole.empty() && fraction.empty()) return {};
  number += whole.empty() ? "0" : whole;
  if (point) number += "." + (fraction.empty() ? "0" : fraction);
  if (rest.starts_with('e') || rest.starts_with('E')) {
    number += 'e';
    rest.remove_prefix(1);
    if (rest.starts_with('+') || rest.starts_with('-')) {
      number += rest.front();
      rest.remove_prefix(1);
    }
    const std::string exponent = take_digits();
    if (exponent.empty()) return {};
    number += exponent;
  }
  if (!rest.empty()) return {};
  if (whole.size() > 1 && whole.front() == '0') return {PlainKind::odd_number, ""};
  return {PlainKind::number, number};
}

namespace {

// How many letters have to be changed, added, dropped or swapped with their neighbour.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        table[i][j] = i + j;
        continue;
      }
      const bool same = a[i - 1] == b[j - 1];
      table[i][j] = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (same ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
    }
  }
  return table[a.size()][b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::string_view* known, std::size_t count) {
  std::size_t best = std::max<std::size_t>(word.size() / 3, 1) + 1;
  std::string_view found;
  if (word.size() > 100) return "";  // no slip of the finger
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t far = distance(word, known[i]);
    if (far >= best) continue;
    best = far;
    found = known[i];
  }
  return std::string(found);
}

}  // namespace restream
