// What a process has used, and what many figures come to.
#pragma once

#include <cstddef>
#include <ctime>
#include <vector>

namespace bench {

// Of this process, or of the calling thread. Not getrusage(): it leaves out what a running thread has used since the
// scheduler's last tick, which is milliseconds.
double cpu_seconds(clockid_t clock);

// Of the serve threads alone, so far: what is left of a round when the poll's own cost, which is the same for one
// subscriber and for all, is taken off.
double serving_seconds();

// What this process has written to, in bytes.
double anonymous_memory();

// The value that so many of a hundred do not exceed.
double percentile(std::vector<double> values, std::size_t hundredths);
inline double median(const std::vector<double>& values) { return percentile(values, 50); }

}  // namespace bench
