// How the process shares its file descriptors out. Runs on: main, core.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <cstddef>

namespace restream {

// How many of them clients may have; the rest is for the database, plugins, upstreams, and for telling clients that
// there are too many.
inline std::size_t descriptors_for_clients() {
  constexpr std::size_t kept = 512;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = 1024;
  const std::size_t all = limit.rlim_cur;
  return all - std::min(kept, all / 2);
}

}  // namespace restream
