// The items of the built-in channel that are the fetch room's to tell, as JSON objects. Pure. Nothing in them changes
// unless something has happened that a person would want to hear of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "fetch/plugin.hpp"
#include "fetch/quota_book.hpp"

namespace restream {

// What is left of a quota, in percent, as it is shown: every call changes it a little, so it moves by ten at least, or
// to one of its ends.
using ShownLeft = std::optional<unsigned>;
ShownLeft steadied(ShownLeft shown, const QuotaView& quota);

// `shown` is moved on.
std::string quota_item(const std::string& fetcher, const QuotaView& quota, ShownLeft& shown);

struct HostView {
  std::string plugin;
  std::string file;
  PluginState state{};
  std::string problem;  // why it is not ready; empty when it is
  std::string refusal;  // why the file that is there now does not serve; empty when it does
  std::string version;
  int pid = 0;
  std::uint64_t restarts = 0;
  std::string last_error;
};
std::string host_item(const HostView& host);

// [{"file", "reason"}]; `refused` by name.
std::string refused_files_json(const std::filesystem::path& directory,
                               const std::map<std::string, std::string>& refused);

}  // namespace restream
