// Where key values come from: a file, standard input or the person at the terminal. Never the command line, which `ps`
// shows to everybody.
#pragma once

#include <expected>
#include <string>

#include "model/metadata.hpp"
#include "tool/subject.hpp"

namespace restream::tool {

// A usage error: a sentence that says what to do.
struct KeyProblem {
  std::string message;
};

// The keys that `metadata` declares, and no others. `source`: a file with {fetcher: {key name: value}}, "-" for the
// same on standard input (where that is a terminal, each key is asked for), or empty: each key is asked for, where
// there is a terminal.
std::expected<KeyValues, KeyProblem> read_keys(const std::string& source, const Metadata& metadata);

}  // namespace restream::tool
