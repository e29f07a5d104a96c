#include "measure.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace bench {

double cpu_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double process_cpu_seconds(pid_t process) {
  clockid_t clock{};
  if (clock_getcpuclockid(process, &clock) != 0) throw std::runtime_error("a process that is measured has gone");
  return cpu_seconds(clock);
}

double serving_seconds(pid_t process) {
  double seconds = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    std::string name;
    std::getline(std::ifstream(thread.path() / "comm") >> std::ws, name);
    if (name != "serve") continue;
    double nanoseconds = 0;
    std::ifstream(thread.path() / "schedstat") >> nanoseconds;
    seconds += nanoseconds / 1e9;
  }
  return seconds;
}

double anonymous_memory(pid_t process) {
  std::ifstream rollup("/proc/" + std::to_string(process) + "/smaps_rollup");
  for (std::string word; rollup >> word;)
    if (double kib = 0; word == "Anonymous:" && rollup >> kib) return kib * 1024;
  return 0;
}

double percentile(std::vector<double> values, std::size_t hundredths) {
  std::ranges::sort(values);
  return values.at(std::min(values.size() - 1, values.size() * hundredths / 100));
}

}  // namespace bench
