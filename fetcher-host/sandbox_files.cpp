// Landlock, through the raw system calls: Debian 12's headers stop at its ABI 2, and kernels are newer.
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "sandbox.hpp"

namespace restream::host {
namespace {

// As the kernel has it since ABI 6. An older one takes it as long as the members that it does not know are 0.
struct Ruleset {
  std::uint64_t handled_files;
  std::uint64_t handled_network;
  std::uint64_t scoped;
};

// Every right there is by an ABI, so that what is handled (and that means: denied, unless a rule allows it) is all that
// the kernel knows. From ABI 1 on: the 13 first rights on files.
constexpr std::uint64_t first_file_rights = (1ULL << 13U) - 1;
constexpr std::uint64_t refer = 1ULL << 13U;             // 2: link and rename across directories
constexpr std::uint64_t truncate = 1ULL << 14U;          // 3
constexpr std::uint64_t ioctl_dev = 1ULL << 15U;         // 5: ioctl() on devices
constexpr std::uint64_t bind_and_connect = 3;            // 4: TCP
constexpr std::uint64_t abstract_socket_and_signal = 3;  // 6: with processes outside

Ruleset known_to(long abi) {
  Ruleset rules{first_file_rights, 0, 0};
  if (abi >= 2) rules.handled_files |= refer;
  if (abi >= 3) rules.handled_files |= truncate;
  if (abi >= 4) rules.handled_network = bind_and_connect;
  if (abi >= 5) rules.handled_files |= ioctl_dev;
  if (abi >= 6) rules.scoped = abstract_socket_and_signal;
  return rules;
}

// Where the dynamic linker finds libraries, and glibc its converters and locales. All of it is public. To map a file as
// code is no "execute" to Landlock, which means execve() by that: reading is all that is needed.
constexpr std::array folders{"/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"};
constexpr auto linker_cache = "/etc/ld.so.cache";
constexpr std::uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

std::string failed(const char* what) {
  return "Landlock: " + std::string(what) + ": " + std::generic_category().message(errno);
}

std::string no_landlock() {
  switch (errno) {
    case ENOSYS:
      return "Landlock: the kernel has none (Linux 5.13 or newer, built with CONFIG_SECURITY_LANDLOCK)";
    case EOPNOTSUPP:
      return "Landlock: the kernel has it but it is switched off (add landlock to the kernel's lsm= parameter)";
    case EPERM:
    case EACCES:
      return "Landlock: its system calls are forbidden here (a service manager or container filters them: allow "
             "landlock_create_ruleset, landlock_add_rule and landlock_restrict_self)";
    default:
      return failed("landlock_create_ruleset");
  }
}

// Closes itself.
struct Fd {
  int value;
  explicit Fd(long fd) : value(static_cast<int>(fd)) {}
  ~Fd() {
    if (value >= 0) close(value);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
};

bool allow(int ruleset, std::uint64_t rights, const char* path) {
  const Fd target(open(path, O_PATH | O_CLOEXEC));
  if (target.value < 0) return true;  // not every system has every one
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights;
  rule.parent_fd = target.value;
  return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

}  // namespace

std::string confine_files() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 0) return no_landlock();
  const Ruleset rules = known_to(abi);
  const Fd ruleset(syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0));
  if (ruleset.value < 0) return no_landlock();
  for (const char* path : folders)
    if (!allow(ruleset.value, reading, path)) return failed(path);
  if (!allow(ruleset.value, LANDLOCK_ACCESS_FS_READ_FILE, linker_cache)) return failed(linker_cache);
#ifdef RESTREAM_SANITIZED  // a sanitizer looks at its own mappings and threads, to report
  if (!allow(ruleset.value, reading, "/proc/self")) return failed("/proc/self");
#endif
  if (syscall(SYS_landlock_restrict_self, ruleset.value, 0) != 0) return failed("landlock_restrict_self");
  return "";
}

}  // namespace restream::host
