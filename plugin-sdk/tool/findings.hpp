// What `restream-plugin check` found: values, and how they are printed.
#pragma once

#include <string>
#include <vector>

namespace restream::tool {

// One thing to mend. Each member is one or two sentences.
struct Finding {
  std::string what;
  std::string why;  // what it would do to subscribers, to the API or to the daemon
  std::string mend;
};

// The outcome of one check. Without findings it is fine, unless it was skipped.
struct Section {
  std::string name;
  std::string note;  // what was seen, or why it was skipped
  bool skipped = false;
  std::vector<Finding> findings;

  // The same thing is said once.
  void find(std::string what, std::string why, std::string mend);
};

struct Report {
  std::string plugin;
  std::vector<Section> sections;
  [[nodiscard]] std::size_t findings() const;
};

std::string text_of(const Report& report);
std::string json_of(const Report& report);

}  // namespace restream::tool
