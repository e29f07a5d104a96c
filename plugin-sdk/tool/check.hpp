// `restream-plugin check`: does a plugin keep the contract? Explains what it finds.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "http/http_client.hpp"
#include "model/channel_id.hpp"
#include "tool/subject.hpp"

namespace restream::tool {

struct CheckOptions {
  SubjectOptions subject;
  std::vector<Params> params;    // of channels to check; the first one is that of the recording
  std::string keys;              // a file, "-", or empty
  std::filesystem::path replay;  // empty: none
  bool live = false;             // ask the API once, and go on with its answer
  std::string origin;            // of live
  bool allow_private = false;    // of live
  HttpOptions http;              // of live
  bool json = false;
};

int run_check(const CheckOptions& options);

}  // namespace restream::tool
