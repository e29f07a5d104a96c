// `restream-plugin try`: one fetch, or with `watch` one after the other, through the real host and the real HTTP
// client.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>

#include "http/http_client.hpp"
#include "model/channel_id.hpp"
#include "tool/subject.hpp"

namespace restream::tool {

struct TryOptions {
  SubjectOptions subject;
  Params params;
  std::string keys;  // a file, "-", or empty
  std::string origin;
  bool allow_private = false;
  HttpOptions http;
  std::filesystem::path record;  // empty: not
  std::filesystem::path replay;  // empty: not
  bool json = false;
  bool watch = false;
  std::optional<Millis> interval;  // of watch; else the fetcher's own
  std::uint64_t polls = 0;         // of watch; 0: until interrupted, or the recording ends
};

inline constexpr int exit_fine = 0;
inline constexpr int exit_fault = 1;
inline constexpr int exit_usage = 2;

int run_try(const TryOptions& options);

}  // namespace restream::tool
