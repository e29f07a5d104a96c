// What one plain word means: numbers, durations, sizes, addresses, names. Pure functions over text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/clock.hpp"

namespace restream {

// "0" … "18446744073709551615", decimal, no sign.
std::optional<std::uint64_t> parse_whole(std::string_view text);

// "90", "90s", "500ms", "5m", "24h", "30d". Nothing where it does not fit either.
std::optional<Millis> parse_duration(std::string_view text);

// "65536", "512B", "64KiB", "8MiB", "1GiB".
std::optional<std::uint64_t> parse_size(std::string_view text);

// As they are written in the configuration: "90s", "24h"; "64KiB".
std::string duration_text(Millis duration);
std::string size_text(std::uint64_t bytes);

bool is_ip_address(const std::string& text);
bool is_network(const std::string& text);  // an address, or an address and a prefix length: "10.0.0.0/8"

// "http://127.0.0.1:9000", "https://api.example": scheme, host and maybe a port, and nothing after it.
bool is_origin(std::string_view text);

// The name of a fetcher or plugin: [a-z0-9][a-z0-9-]*, at most 64 characters.
bool is_fetcher_name(std::string_view text);

// How YAML 1.2's core schema reads a plain (unquoted) word.
enum class PlainKind : std::uint8_t { null, boolean, number, odd_number, text };
struct Plain {
  PlainKind kind = PlainKind::text;
  std::string json;  // for null, boolean and number
};
// `odd_number`: looks like a number, but JSON has none such (.inf), or people disagree on it (007).
Plain read_plain(const std::string& text);

// The nearest of `known` to `word`, or nothing when none is near.
std::string nearest(std::string_view word, const std::string_view* known, std::size_t count);

}  // namespace restream
