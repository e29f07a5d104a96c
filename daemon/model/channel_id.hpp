// Channel ids and canonical params: `nyt-top` and `nyt-top?section=home` are one channel.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/metadata.hpp"

namespace restream {

using Params = std::vector<std::pair<std::string, std::string>>;  // name -> value

// A fetcher and its canonical params: defaults filled in, sorted by name. `text` is the id that people see:
// `nyt-top?section=books%2Freview`, or only the fetcher's name when there are no params.
struct ChannelId {
  std::string fetcher;
  Params params;
  std::string text;
  friend bool operator==(const ChannelId& a, const ChannelId& b) { return a.text == b.text; }
};

// A sentence that names the param and what was expected.
struct ParamError {
  std::string message;
};

// Checks what was given against what the fetcher declares: unknown and repeated names, missing required ones, values
// of more than 1,024 bytes or with control characters, values outside `allowed` or `pattern` are refused.
std::expected<ChannelId, ParamError> canonical_channel(std::string_view fetcher, std::span<const ParamSpec> specs,
                                                       Params given);

// The id as it stands, with no check against a fetcher: for params that are canonical already.
ChannelId make_channel_id(std::string fetcher, Params canonical);

// Reads `a=b&c=d%20e` ('+' is a plus sign: only %20 is a space). Names that begin with `_` belong to the daemon and
// come back in `own`. Refuses malformed percent-encoding.
struct Query {
  Params params;
  Params own;
};
std::expected<Query, ParamError> parse_query(std::string_view query);

// Everything outside RFC 3986's unreserved set becomes %XX.
std::string percent_encode(std::string_view text);
std::expected<std::string, ParamError> percent_decode(std::string_view text);

}  // namespace restream
