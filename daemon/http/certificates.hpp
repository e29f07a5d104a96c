// The certificates that APIs are told by. From any thread.
#pragma once

#include <filesystem>
#include <string>

namespace restream {

// Empty when the file holds certificates; otherwise a sentence. libcurl would say so with every request.
std::string problem_of_certificates(const std::filesystem::path& file);

}  // namespace restream
