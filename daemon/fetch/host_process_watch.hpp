// How many threads a host has. Neither its filter of system calls nor its limits can count them: RLIMIT_NPROC counts
// those of all processes of a user together. Runs on: any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace restream {

// What its calls and a plugin's own need, and enough to tell a bomb.
inline constexpr std::uint64_t most_host_threads = 512;

// As `proc` (/proc) tells it; nothing where that does not show this process.
std::optional<std::uint64_t> count_threads(pid_t pid, const std::filesystem::path& proc);

// Why it is killed.
std::string too_many_threads(std::uint64_t count);

}  // namespace restream
