// Runs a program as if the kernel lacked something: older-kernel CALL=ERRNO… -- PROGRAM ARGUMENT…
// CALL is a system call's name; `filter` stands for every way to set a seccomp filter.
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

int main(int argc, char** argv) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  int at = 1;
  for (; at < argc && std::strcmp(argv[at], "--") != 0; ++at) {
    const std::string word = argv[at];
    const std::string name = word.substr(0, word.find('='));
    const auto action = SCMP_ACT_ERRNO(static_cast<unsigned>(std::atoi(word.substr(name.size() + 1).c_str())));
    int failed = 0;
    if (name == "filter") {
      const scmp_arg_cmp set{0, SCMP_CMP_EQ, PR_SET_SECCOMP, 0};
      failed = seccomp_rule_add_array(filter, action, SCMP_SYS(prctl), 1, &set) |
               seccomp_rule_add_array(filter, action, SCMP_SYS(seccomp), 0, nullptr);
    } else {
      failed = seccomp_rule_add_array(filter, action, seccomp_syscall_resolve_name(name.c_str()), 0, nullptr);
    }
    if (failed != 0) return std::fprintf(stderr, "older-kernel: %s\n", word.c_str()), 2;
  }
  if (at + 1 >= argc || seccomp_load(filter) != 0) return std::fprintf(stderr, "older-kernel: no filter\n"), 2;
  execv(argv[at + 1], argv + at + 1);
  std::perror(argv[at + 1]);
  return 2;
}
