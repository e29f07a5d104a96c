// `restream-plugin new`: writes a fetcher project from the templates beside this program.
#pragma once

#include <filesystem>
#include <string>

namespace restream::tool {

struct ProjectOptions {
  std::string name;
  std::filesystem::path directory;  // empty: ./NAME
  std::string language = "c++";     // c++, c or rust
};

// Writes nothing where anything would be overwritten. Returns the exit code.
int run_new(const ProjectOptions& options);

}  // namespace restream::tool
