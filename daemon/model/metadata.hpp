// What a plugin says of itself, parsed and checked. A value; `fetch/metadata_parser` makes it from JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/clock.hpp"
#include "model/pattern.hpp"

namespace restream {

// One declared param. A param that is not required and has no default may be left out altogether.
struct ParamSpec {
  std::string name;
  bool required = false;
  std::optional<std::string> default_value;
  Pattern pattern;                   // matched against the whole value
  std::vector<std::string> allowed;  // `enum`; empty: anything
  std::string description;
};

struct QuotaSpec {
  std::uint64_t calls = 0;
  Seconds per{};           // 1, 60, 3600 or 86400
  std::string shared_key;  // name of the key it counts against; empty: all of the fetcher's
};

struct Metadata {
  std::string name;
  std::string description;
  std::string id_field;  // a member of the item, or a JSON pointer when it starts with '/'
  std::string api_url;
  std::string doc_url;
  std::vector<std::string> keys;
  Seconds poll_interval{};
  std::vector<ParamSpec> params;
  std::optional<QuotaSpec> quota;
  std::vector<int> limited_status;  // answers that mean 429 as well: [403]
  bool complete = false;
  std::vector<std::string> ignore;     // JSON pointers
  std::vector<std::string> unordered;  // JSON pointers
  std::string version;
  std::string json;  // the plugin's own text, one line, for GET /fetchers
};

}  // namespace restream
