// A copy of the plugin's file in memory that nobody can change any more. The file itself may then be overwritten, cut
// or removed, while it is loaded and after: pages that are not read yet come from the copy. Runs on: main, once.
#pragma once

#include <expected>
#include <filesystem>
#include <string>

namespace restream::host {

// A descriptor of the sealed copy, whose headers were checked against its size; or a sentence that names the file and
// what is wrong. Before the limits: the copy is a file, and those allow no writing.
std::expected<int, std::string> copy_plugin(const std::filesystem::path& path);

}  // namespace restream::host
