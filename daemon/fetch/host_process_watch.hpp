// How many threads a host has. Neither its filter of system calls nor its limits can count them: RLIMIT_NPROC counts
// those of all processes of a user together. Runs on: any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace restream {

// What its calls and a plugin's own need, and enough to tell a bomb.
inline constexpr std::uint64_t most_host_threads = 512;

// 0: not known, it is gone.
std::uint64_t count_threads(pid_t pid);

}  // namespace restream
