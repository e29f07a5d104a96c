// What a keystore holds, and its JSON: `{fetcher: {key name: value}}`. Pure. The JSON is read and printed here rather
// than by a library, because a library leaves copies of the values in ordinary memory and in its error texts, and
// lets the last of two equal names win.
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <string>
#include <string_view>

#include "keys/secret.hpp"

namespace restream::keys {

using FetcherKeys = std::map<std::string, Secret, std::less<>>;   // key name -> value
using Entries = std::map<std::string, FetcherKeys, std::less<>>;  // fetcher -> its keys; no fetcher without a key

// Names of fetchers and keys: 1 to 64 letters, digits, `.`, `_` and `-`, the first a letter, a digit or `_`.
bool valid_name(std::string_view name);
inline constexpr std::string_view kNameRule = "1 to 64 letters, digits, '.', '_' or '-', not starting with '.' or '-'";

// Values: 1 byte to 64 KiB of UTF-8 without NUL. Nothing when it is one; otherwise what is wrong with it.
inline constexpr std::size_t kMaxValueSize = std::size_t{64} << 10;
std::string_view value_problem(std::string_view value);

std::size_t count_keys(const Entries& entries);
bool same_entries(const Entries& a, const Entries& b);

// Canonical: names in byte order, no white space, no escapes that JSON does not demand.
Secret print_entries(const Entries& entries);

// Where and what, never the text that was found there.
struct JsonError {
  std::size_t line = 1;
  std::size_t column = 1;
  std::string message;
};
// Any JSON text of the right shape. A name given twice, a name or value that the rules above refuse, and anything
// after the object are errors. A fetcher without keys is left out.
std::expected<Entries, JsonError> parse_entries(std::string_view json);

// Appends `text` as a JSON string. Text that is not UTF-8 must not come here.
void append_json_string(Secret& out, std::string_view text);

}  // namespace restream::keys
