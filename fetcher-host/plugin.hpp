// Loads the plugin and checks that it speaks our contract. Runs on: main, once. The only user of Boost.DLL.
#pragma once

#include <restream/fetcher.h>

#include <cstdint>
#include <expected>
#include <string>

namespace restream::host {

using PluginFunction = std::int32_t (*)(const restream_call*);

// A loaded plugin. It stays loaded until the process ends.
struct Plugin {
  PluginFunction metadata = nullptr;
  PluginFunction fetch = nullptr;
  std::uint16_t abi_major = 0;  // what it was built for
  std::uint16_t abi_minor = 0;
  std::string sdk_version;
};

// From the descriptor of the copy (plugin_copy.hpp), which may be closed afterwards. `name`: the file's, for messages.
// An error is a sentence that names what does not fit.
std::expected<Plugin, std::string> load_plugin(int copy, const std::string& name);

}  // namespace restream::host
