#include "sandbox.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>

namespace restream::host {
namespace {

void process_control(int option, unsigned long value, const char* what) {
  if (prctl(option, value, 0UL, 0UL, 0UL) != 0) throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

std::vector<std::string> enter_sandbox(wire::Sandbox mode) {
  // No more rights than now, whatever is executed.
  process_control(PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS");
  // Goes with the daemon, even while a plugin keeps every thread busy. Follows the thread that spawned this process,
  // which is the daemon's core thread and lives as long as the daemon.
  process_control(PR_SET_PDEATHSIG, SIGKILL, "PR_SET_PDEATHSIG");
  // Requests hold keys: no core file, no ptrace and no /proc/…/mem for other processes of the same user.
  process_control(PR_SET_DUMPABLE, 0, "PR_SET_DUMPABLE");
  std::vector<std::string> missing;
  if (mode == wire::Sandbox::off) return missing;

  // Landlock first: the filter has no need to allow its calls then.
  for (const auto part : {&confine_files, &filter_calls})
    if (std::string problem = part(); !problem.empty()) missing.push_back(std::move(problem));
  if (mode == wire::Sandbox::required && !missing.empty())
    throw std::runtime_error("it cannot be confined: " + missing.front());
  return missing;
}

}  // namespace restream::host
