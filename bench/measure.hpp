// What a process has used, and what many figures come to.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <ctime>
#include <vector>

namespace bench {

// Of this process, or of the calling thread, or of a process by clock_getcpuclockid(). Not getrusage(): it leaves out
// what a running thread has used since the scheduler's last tick, which is milliseconds.
double cpu_seconds(clockid_t clock);

double process_cpu_seconds(pid_t process);

// Of a process's serve threads alone, so far: what is left of a round when the poll's own cost, which is the same for
// one subscriber and for all, is taken off.
double serving_seconds(pid_t process);

// What a process has written to, in bytes.
double anonymous_memory(pid_t process);

// The value that so many of a hundred do not exceed.
double percentile(std::vector<double> values, std::size_t hundredths);
inline double median(const std::vector<double>& values) { return percentile(values, 50); }

}  // namespace bench
