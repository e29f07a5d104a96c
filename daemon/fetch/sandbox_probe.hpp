// What of a fetcher host's sandbox this machine has not, found out by trying: a host confines itself, says what it
// could not have, and ends. Runs on: main, before core's loop; it waits for the host.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <vector>

namespace restream {

// A sentence for each missing part, none when plugins can be confined. An error is a sentence: the host does not run.
std::expected<std::vector<std::string>, std::string> probe_sandbox(const std::filesystem::path& host);

}  // namespace restream
