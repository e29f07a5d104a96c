#include "ops/redactor.hpp"

#include <algorithm>

namespace restream {

namespace {

constexpr std::size_t least_size = 8;
constexpr std::string_view replacement = "[redacted]";
constexpr std::string_view base64_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view base64_url_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::uint8_t byte_of(char c) { return static_cast<std::uint8_t>(c); }

// The letters of base64 that depend on `secret` alone when `before` bytes (0 to 2) of something else come first.
std::string base64_core(std::string_view secret, std::size_t before, std::string_view letters) {
  const std::size_t first_bit = before * 8;
  const std::size_t last_bit = first_bit + secret.size() * 8;
  std::string core;
  core.reserve(secret.size() / 3 * 4 + 4);  // it must not grow with half a secret in it
  for (std::size_t bit = (first_bit + 5) / 6 * 6; bit + 6 <= last_bit; bit += 6) {
    unsigned letter = 0;
    for (std::size_t i = bit; i < bit + 6; ++i) {
      const std::size_t at = i - first_bit;
      const unsigned byte = byte_of(secret[at / 8]);
      letter = (letter << 1U) | ((byte >> (7 - at % 8)) & 1U);
    }
    core += letters[letter];
  }
  return core;
}

bool is_base64(char c) { return base64_letters.find(c) != std::string_view::npos || c == '-' || c == '_'; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Of the first two digits; -1 when they are none.
int hex_value(std::string_view two) {
  if (two.size() < 2 || hex_digit(two[0]) < 0 || hex_digit(two[1]) < 0) return -1;
  return hex_digit(two[0]) * 16 + hex_digit(two[1]);
}

bool is_hex(std::string_view two, char c) { return hex_value(two) == static_cast<int>(byte_of(c)); }

// How many bytes at the start of `text` stand for `c`; 0: they do not.
std::size_t width(std::string_view text, char c) {
  if (text.empty()) return 0;
  if (text[0] == '%') {
    if (text.substr(1).starts_with("25") && is_hex(text.substr(3), c)) return 5;
    if (is_hex(text.substr(1), c)) return 3;
  }
  if (text[0] == '\\' && text.size() > 1 && text[1] == c && (c == '"' || c == '\\' || c == '/')) return 2;
  if (text.starts_with("\\u00") && byte_of(c) < 0x80 && is_hex(text.substr(4), c)) return 6;
  if (text[0] == c || (text[0] == '+' && c == ' ')) return 1;
  return 0;
}

// Where a text was cut: nothing, or the beginning of a sign that would have had more bytes.
bool is_cut_off(std::string_view rest) {
  return rest.empty() || (rest.size() < 3 && rest[0] == '%') || (rest.size() < 5 && rest.starts_with("%25")) ||
         (rest.size() < 6 && rest[0] == '\\');
}

bool is_line_end(char c) { return byte_of(c) < 0x20 || c == 0x7f; }  // anything that a log makes a blank of

}  // namespace

Redactor::Redactor(const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    add_secret(secret);
    // Whoever prints a key of several lines makes several lines of it, or blanks of the line ends.
    if (std::ranges::none_of(secret, is_line_end)) continue;
    for (auto begin = secret.begin(); begin != secret.end();) {
      const auto end = std::find_if(begin, secret.end(), is_line_end);
      add_secret({begin, end});
      begin = std::find_if_not(end, secret.end(), is_line_end);
    }
  }
  for (std::vector<Pattern>& same_start : patterns_)
    std::ranges::stable_sort(same_start, std::greater{}, [](const Pattern& one) { return one.bytes.text().size(); });
}

void Redactor::add_secret(std::string_view secret) {
  if (secret.size() < least_size) return;
  add({.bytes = std::string(secret)});
  for (const std::string_view letters : {base64_letters, base64_url_letters})
    for (std::size_t before = 0; before < 3; ++before)
      add({.bytes = base64_core(secret, before, letters),
           .letter_before = before != 0,
           .letter_after = (before + secret.size()) % 3 != 0});
}

void Redactor::add(Pattern pattern) {
  empty_ = false;
  patterns_[byte_of(pattern.bytes.text().front())].push_back(std::move(pattern));
}

std::size_t Redactor::match(const Pattern& pattern, std::string_view text) const {
  std::size_t at = 0;
  std::size_t count = 0;
  for (const char c : pattern.bytes.text()) {
    const std::string_view rest = text.substr(at);
    const std::size_t step = width(rest, c);
    if (step == 0) return count >= least_size && is_cut_off(rest) ? text.size() : 0;
    at += step;
    ++count;
  }
  if (pattern.letter_after && at < text.size() && is_base64(text[at])) ++at;
  return at;
}

std::string Redactor::redact(std::string_view text) const {
  if (empty_) return std::string(text);
  std::string clean;
  clean.reserve(text.size());
  // A pattern may begin with the byte itself or with one of the few signs that can stand for it.
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    std::size_t longest = 0;
    bool letter_before = false;
    const auto try_all = [&](std::uint8_t first) {
      for (const Pattern& pattern : patterns_[first]) {
        const std::size_t size = match(pattern, rest);
        if (size <= longest) continue;
        longest = size;
        letter_before = pattern.letter_before;
      }
    };
    try_all(byte_of(rest[0]));
    if (rest[0] == '+') try_all(' ');
    if (rest[0] == '\\' && rest.size() > 1) try_all(byte_of(rest[1]));
    if (rest.starts_with("\\u00") && hex_value(rest.substr(4)) >= 0)
      try_all(static_cast<std::uint8_t>(hex_value(rest.substr(4))));
    if (rest[0] == '%') {
      const std::string_view digits = rest.substr(rest.substr(1).starts_with("25") && rest.size() >= 5 ? 3 : 1);
      for (const std::string_view two : {rest.substr(1), digits})
        if (hex_value(two) >= 0) try_all(static_cast<std::uint8_t>(hex_value(two)));
    }
    if (longest == 0) {
      clean += text[at++];
      continue;
    }
    if (letter_before && !clean.empty() && is_base64(clean.back())) clean.pop_back();
    clean += replacement;
    at += longest;
  }
  return clean;
}

}  // namespace restream
