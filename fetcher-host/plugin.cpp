#include "plugin.hpp"

#include <algorithm>
#include <array>
#include <boost/dll/shared_library.hpp>
#include <boost/dll/shared_library_load_mode.hpp>
#include <cstring>
#include <exception>
#include <string_view>

namespace restream::host {
namespace {

namespace dll = boost::dll;

constexpr auto descriptor_symbol = "restream_fetcher";
constexpr auto metadata_symbol = "metadata";
constexpr auto fetch_symbol = "fetch";

// The linker's own words, without what Boost wraps around them, and with the file's name.
std::string load_problem(std::string_view text, std::string_view path, std::string_view name) {
  constexpr std::string_view before = "system message: ";
  if (const auto at = text.find(before); at != std::string::npos) {
    text.remove_prefix(at + before.size());
    if (const auto end = text.rfind("): "); end != std::string::npos) text = text.substr(0, end);
  }
  std::string words(text);
  if (const auto at = words.find(path); at != std::string::npos) words.replace(at, path.size(), name);
  return words;
}

std::string missing_symbols(const dll::shared_library& library) {
  std::string missing;
  for (const char* symbol : {descriptor_symbol, metadata_symbol, fetch_symbol})
    if (!library.has(symbol)) missing += (missing.empty() ? "" : ", ") + std::string(symbol);
  return missing;
}

std::string version(unsigned major, unsigned minor) { return std::to_string(major) + '.' + std::to_string(minor); }

// Empty when it fits. Nothing behind the head is read before the head says that it is there.
std::string descriptor_problem(const restream_fetcher_descriptor& descriptor) {
  constexpr std::array<char, 8> magic = RESTREAM_FETCHER_MAGIC;
  if (!std::equal(magic.begin(), magic.end(), std::begin(descriptor.magic)))
    return "its symbol restream_fetcher is no fetcher descriptor: it does not begin with \"restream\"";
  if (descriptor.abi_major != RESTREAM_ABI_MAJOR || descriptor.abi_minor > RESTREAM_ABI_MINOR)
    return "it is built for fetcher ABI " + version(descriptor.abi_major, descriptor.abi_minor) +
           ", this restream has " + version(RESTREAM_ABI_MAJOR, RESTREAM_ABI_MINOR) +
           (descriptor.abi_major < RESTREAM_ABI_MAJOR ? ": build it anew with this restream's SDK"
                                                      : ": it needs a newer restream, or a build with this one's SDK");
  if (descriptor.size != sizeof(restream_fetcher_descriptor))
    return "its descriptor says that it has " + std::to_string(descriptor.size) + " bytes, ABI " +
           version(descriptor.abi_major, descriptor.abi_minor) + " has " +
           std::to_string(sizeof(restream_fetcher_descriptor));
  if (descriptor.flags != 0) return "its descriptor sets flags that ABI 1.0 does not have";
  return "";
}

}  // namespace

std::expected<Plugin, std::string> load_plugin(int copy, const std::string& name) {
  // By way of /proc: what is opened is the memory file behind the descriptor, which no rule on paths concerns.
  const std::string path = "/proc/self/fd/" + std::to_string(copy);
  const auto refuse = [&name](const std::string& why) { return std::unexpected(name + " cannot be used: " + why); };
  auto& library = *new dll::shared_library;  // never unloaded
  try {
    // Every symbol is bound now, so that a missing one is found here and not in the middle of a poll.
    library.load(path, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
    if (const std::string missing = missing_symbols(library); !missing.empty())
      return refuse("it does not export " + missing);

    const auto& descriptor = library.get<const restream_fetcher_descriptor>(descriptor_symbol);
    if (const std::string problem = descriptor_problem(descriptor); !problem.empty()) return refuse(problem);

    const char* const sdk = std::begin(descriptor.sdk_version);
    return Plugin{.metadata = &library.get<std::int32_t(const restream_call*)>(metadata_symbol),
                  .fetch = &library.get<std::int32_t(const restream_call*)>(fetch_symbol),
                  .abi_major = descriptor.abi_major,
                  .abi_minor = descriptor.abi_minor,
                  .sdk_version = std::string(sdk, strnlen(sdk, sizeof descriptor.sdk_version))};
  } catch (const std::exception& problem) {
    return refuse(load_problem(problem.what(), path, name));
  }
}

}  // namespace restream::host
