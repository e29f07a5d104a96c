// The system calls of a plugin and its host, by libseccomp: what is not listed here fails with ENOSYS, as if the kernel
// did not have it. Libraries that try something newer then fall back to something older; with EPERM they give up.
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <system_error>

#include "sandbox.hpp"

namespace restream::host {
namespace {

using Datum = scmp_datum_t;

constexpr unsigned daemon_fd = 3;

// What threads are started with by glibc, to the bit: no processes, no namespaces. clone3() passes its flags by
// pointer, which a filter cannot follow: it fails, and glibc takes clone().
constexpr Datum thread_flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD |
                               CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(ENOSYS))) {}
  ~Filter() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  void allow(std::initializer_list<int> calls) {
    for (const int call : calls) rule(SCMP_ACT_ALLOW, call, {});
  }
  void allow(int call, std::initializer_list<scmp_arg_cmp> when) { rule(SCMP_ACT_ALLOW, call, when); }
  void refuse(int call, int error, std::initializer_list<scmp_arg_cmp> when) {
    rule(SCMP_ACT_ERRNO(static_cast<unsigned>(error)), call, when);
  }

  // Empty when it is in force.
  std::string enter() {
    if (context_ == nullptr) return "seccomp: no memory for a filter";
    set(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a search tree: it is asked at every call
    set(SCMP_FLTATR_CTL_TSYNC, 1);
    set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (error_ == 0) error_ = -seccomp_load(context_);
    if (error_ == 0) return "";
    // libseccomp says ECANCELED for most of what the kernel says.
    if (error_ == EINVAL || error_ == ENOSYS || error_ == EOPNOTSUPP || error_ == ECANCELED)
      return "seccomp: the kernel takes no filter (CONFIG_SECCOMP_FILTER; or a container forbids it)";
    return "seccomp: " + std::generic_category().message(error_);
  }

 private:
  void rule(unsigned action, int call, std::initializer_list<scmp_arg_cmp> when) {
    if (context_ == nullptr || error_ != 0) return;
    error_ = -seccomp_rule_add_array(context_, action, call, static_cast<unsigned>(when.size()), when.begin());
  }
  void set(scmp_filter_attr attribute, unsigned value) {
    if (error_ == 0) error_ = -seccomp_attr_set(context_, attribute, value);
  }

  scmp_filter_ctx context_;
  int error_ = 0;
};

scmp_arg_cmp argument(unsigned number, Datum value) { return {number, SCMP_CMP_EQ, value, 0}; }
scmp_arg_cmp bits(unsigned number, Datum mask, Datum value) { return {number, SCMP_CMP_MASKED_EQ, mask, value}; }

// Files for reading alone; Landlock says which.
void allow_files(Filter& filter) {
  constexpr Datum writing = O_ACCMODE | O_CREAT | O_TRUNC;
  filter.allow(SCMP_SYS(openat), {bits(2, writing, O_RDONLY)});
  for (const Datum some : {Datum{O_WRONLY}, Datum{O_RDWR}, Datum{O_CREAT}, Datum{O_TRUNC}})
    filter.refuse(SCMP_SYS(openat), EACCES, {bits(2, some, some)});
  filter.allow({SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close),
                SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx)});
  // Not F_SETOWN: it would have the kernel send signals to other processes.
  for (const Datum command : {Datum{F_GETFD}, Datum{F_SETFD}, Datum{F_GETFL}, Datum{F_SETFL}, Datum{F_DUPFD_CLOEXEC}})
    filter.allow(SCMP_SYS(fcntl), {argument(1, command)});
  filter.allow(SCMP_SYS(ioctl), {argument(1, TCGETS)});  // isatty()
  // The daemon's socket, which is there already. Without flags that would leave it bytes out of band.
  filter.allow(SCMP_SYS(recvfrom), {argument(0, daemon_fd), argument(3, 0)});
  filter.allow(SCMP_SYS(sendto), {argument(0, daemon_fd), argument(3, MSG_NOSIGNAL)});
  filter.allow({SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6)});
}

// Private memory, which RLIMIT_DATA counts. Shared memory without a file and stacks that grow are not counted, so there
// is none.
void allow_memory(Filter& filter) {
  filter.allow(SCMP_SYS(mmap), {bits(3, MAP_TYPE | MAP_GROWSDOWN, MAP_PRIVATE)});
  filter.allow(SCMP_SYS(mmap), {bits(3, MAP_TYPE | MAP_ANONYMOUS | MAP_GROWSDOWN, MAP_SHARED)});
  filter.allow({SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk)});
}

void allow_threads(Filter& filter) {
  filter.allow(SCMP_SYS(clone), {argument(0, thread_flags)});
  filter.allow({SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(futex), SCMP_SYS(sched_yield),
                SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu), SCMP_SYS(exit), SCMP_SYS(exit_group)});
  for (const Datum option :
       {Datum{PR_SET_NAME}, Datum{PR_GET_NAME}, Datum{PR_GET_NO_NEW_PRIVS}, Datum{PR_GET_DUMPABLE}})
    filter.allow(SCMP_SYS(prctl), {argument(0, option)});
}

// Signals to itself: so that abort() ends it by SIGABRT, and is told apart from exit().
void allow_signals(Filter& filter) {
  const auto self = static_cast<Datum>(getpid());
  filter.allow(SCMP_SYS(kill), {argument(0, self)});
  filter.allow(SCMP_SYS(tgkill), {argument(0, self)});
  filter.allow({SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigsuspend),
                SCMP_SYS(sigaltstack), SCMP_SYS(pause), SCMP_SYS(restart_syscall)});
}

void allow_questions(Filter& filter) {
  filter.allow({SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
                SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
                SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
                SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(times), SCMP_SYS(getrusage)});
  filter.allow(SCMP_SYS(prlimit64), {argument(0, 0), argument(2, 0)});  // its own limits, to read
}

// A sanitizer's runtime maps its shadow, and looks at itself to report what it found.
[[maybe_unused]] void allow_sanitizer(Filter& filter) {
  filter.allow({SCMP_SYS(mmap), SCMP_SYS(prctl), SCMP_SYS(prlimit64), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
                SCMP_SYS(access), SCMP_SYS(getdents64), SCMP_SYS(mincore), SCMP_SYS(dup), SCMP_SYS(pipe2),
                SCMP_SYS(getcwd), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler)});
}

}  // namespace

std::string filter_calls() {
  Filter filter;
  allow_files(filter);
  allow_memory(filter);
  allow_threads(filter);
  allow_signals(filter);
  allow_questions(filter);
#ifdef RESTREAM_SANITIZED
  allow_sanitizer(filter);
#endif
  return filter.enter();
}

}  // namespace restream::host
