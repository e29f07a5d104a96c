#include "sandbox.hpp"

#include <sys/prctl.h>

#include <cerrno>
#include <csignal>
#include <system_error>

namespace restream::host {
namespace {

void process_control(int option, unsigned long value, const char* what) {
  if (prctl(option, value, 0UL, 0UL, 0UL) != 0) throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

void enter_sandbox() {
  // No more rights than now, whatever is executed.
  process_control(PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS");
  // Goes with the daemon, even while a plugin keeps every thread busy. Follows the thread that spawned this process,
  // which is the daemon's core thread and lives as long as the daemon.
  process_control(PR_SET_PDEATHSIG, SIGKILL, "PR_SET_PDEATHSIG");
  // Requests hold keys: no core file, no ptrace and no /proc/…/mem for other processes of the same user.
  process_control(PR_SET_DUMPABLE, 0, "PR_SET_DUMPABLE");

  // This is the place for a file system and system call filter. There is none yet: a plugin can do what the daemon's
  // user can, within the limits and without environment or inherited descriptors.
}

}  // namespace restream::host
