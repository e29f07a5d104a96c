// Tries to get out: the param `attempt` says how, `at` says where. Its one item tells how it went: "done …", or the
// error. `at-load` tells of what it tried while it was loaded, before anybody asked it for anything.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <restream/fetcher.hpp>
#include <string>

namespace {

using Attempt = std::string (*)(const std::string& at);

std::string outcome(long result, const char* done = "done") { return result < 0 ? std::strerror(errno) : done; }

pid_t pid(const std::string& at) { return static_cast<pid_t>(std::stol(at)); }

std::string read_file(const std::string& at) {
  const int fd = open(at.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::strerror(errno);
  std::array<char, 64> bytes{};
  const ssize_t size = read(fd, bytes.data(), bytes.size());
  const std::string how = outcome(size, "done: it was read");
  close(fd);
  return how;
}

// "PID ADDRESS": one byte of another process.
std::string read_memory(const std::string& at) {
  const int fd = open(("/proc/" + at.substr(0, at.find(' ')) + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::strerror(errno);
  char byte = 0;
  const std::string how = outcome(pread(fd, &byte, 1, std::stol(at.substr(at.find(' ')), nullptr, 16)));
  close(fd);
  return how;
}

std::string copy_memory(const std::string& at) {
  char byte = 0;
  const iovec here{&byte, 1};
  // NOLINTNEXTLINE: an address in the other process
  const iovec there{reinterpret_cast<void*>(std::stoul(at.substr(at.find(' ')), nullptr, 16)), 1};
  return outcome(process_vm_readv(pid(at), &here, 1, &there, 1, 0));
}

std::string write_file(const std::string& at) {
  const int fd = open(at.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  return outcome(fd);
}

std::string listen_somewhere(const std::string&) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return std::strerror(errno);
  const std::string how = outcome(listen(fd, 1));
  close(fd);
  return how;
}

std::string connect_to(const std::string& at) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return std::strerror(errno);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(at)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr generic{};
  std::memcpy(&generic, &address, sizeof generic);
  const std::string how = outcome(connect(fd, &generic, sizeof generic));
  close(fd);
  return how;
}

std::string fork_one(const std::string&) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  if (child > 0) waitpid(child, nullptr, 0);
  return outcome(child);
}

// Past glibc: a process by the system call that threads are made with.
std::string clone_one(const std::string&) {
  const long child = syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (child == 0) _exit(0);
  if (child > 0) waitpid(static_cast<pid_t>(child), nullptr, 0);
  return outcome(child);
}

std::string execute(const std::string& at) {
  char* const arguments[] = {const_cast<char*>(at.c_str()), nullptr};
  char* const environment[] = {nullptr};
  return outcome(execve(at.c_str(), arguments, environment));
}

// And lets go of it again: a traced process stops at its next signal.
std::string trace(const std::string& at) {
  if (ptrace(PTRACE_SEIZE, pid(at), nullptr, nullptr) != 0) return std::strerror(errno);
  ptrace(PTRACE_INTERRUPT, pid(at), nullptr, nullptr);
  waitpid(pid(at), nullptr, __WALL);
  return outcome(ptrace(PTRACE_DETACH, pid(at), nullptr, nullptr));
}

std::string signal_queue(const std::string& at) {
  siginfo_t info{};
  info.si_code = SI_QUEUE;
  info.si_signo = SIGCONT;
  info.si_pid = getpid();
  return outcome(syscall(SYS_rt_sigqueueinfo, pid(at), SIGCONT, &info));
}

// Something arrives on the socket, and the kernel sends a signal on our behalf.
std::string signal_owner(const std::string& at) { return outcome(fcntl(3, F_SETOWN, pid(at))); }

std::string map_memory(int flags) {
  void* const memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) return std::strerror(errno);
  munmap(memory, 4096);
  return "done";
}

std::string raise_limit(const std::string&) {
  const rlimit same{0, 0};
  return outcome(setrlimit(RLIMIT_CORE, &same));
}

// A library's constructor is code of the plugin's as well.
struct AtLoad {
  std::string file = read_file("/etc/passwd");
  std::string network = listen_somewhere("");
};
const AtLoad at_load;

const std::map<std::string, Attempt> attempts{
    {"at-load", [](const std::string& at) { return at == "socket" ? at_load.network : at_load.file; }},
    {"read", &read_file},
    {"read-memory", &read_memory},
    {"copy-memory", &copy_memory},
    {"write", &write_file},
    {"remove", [](const std::string& at) { return outcome(unlink(at.c_str())); }},
    {"rename", [](const std::string& at) { return outcome(rename(at.c_str(), (at + ".gone").c_str())); }},
    {"mkdir", [](const std::string& at) { return outcome(mkdir(at.c_str(), 0700)); }},
    {"chmod", [](const std::string& at) { return outcome(chmod(at.c_str(), 0600)); }},
    {"truncate", [](const std::string& at) { return outcome(truncate(at.c_str(), 0)); }},
    {"list", [](const std::string& at) { return outcome(open(at.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }},
    {"link",
     [](const std::string& at) {
       std::array<char, 256> target{};
       return outcome(readlink(at.c_str(), target.data(), target.size()));
     }},
    {"socket", &listen_somewhere},
    {"connect", &connect_to},
    {"socketpair",
     [](const std::string&) {
       std::array<int, 2> pair{};
       return outcome(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()));
     }},
    {"fork", &fork_one},
    {"clone", &clone_one},
    {"exec", &execute},
    {"ptrace", &trace},
    {"kill", [](const std::string& at) { return outcome(kill(pid(at), SIGCONT)); }},
    {"kill-thread", [](const std::string& at) { return outcome(syscall(SYS_tgkill, pid(at), pid(at), SIGCONT)); }},
    {"kill-group", [](const std::string&) { return outcome(kill(0, SIGCONT)); }},
    {"queue", &signal_queue},
    {"owner", &signal_owner},
    {"pidfd", [](const std::string& at) { return outcome(syscall(SYS_pidfd_open, pid(at), 0)); }},
    {"memfd", [](const std::string&) { return outcome(memfd_create("hidden", 0)); }},
    {"shared-memory", [](const std::string&) { return map_memory(MAP_SHARED | MAP_ANONYMOUS); }},
    {"growing-memory", [](const std::string&) { return map_memory(MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN); }},
    {"segment", [](const std::string&) { return outcome(syscall(SYS_shmget, 0, 4096, 01600)); }},
    {"limit", &raise_limit},
    {"orphan", [](const std::string&) { return outcome(prctl(PR_SET_PDEATHSIG, 0)); }},
    {"dumpable", [](const std::string&) { return outcome(prctl(PR_SET_DUMPABLE, 0)); }},
    {"nice", [](const std::string&) { return outcome(setpriority(PRIO_PROCESS, 0, 19)); }},
    {"ring",
     [](const std::string&) {
       std::array<char, 120> parameters{};
       return outcome(syscall(SYS_io_uring_setup, 1, parameters.data()));
     }},
    {"namespace", [](const std::string&) { return outcome(unshare(CLONE_FS)); }},
};

struct Burglar {
  static restream::json metadata() {
    return {{"name", "burglar"},
            {"description", "Tries to get out of its sandbox"},
            {"id_field", "id"},
            {"api_url", "http://127.0.0.1:9/{}"},
            {"doc_url", "https://example.com/"},
            {"keys", restream::json::array()},
            {"poll_interval", 1},
            {"params", {{"attempt", {{"required", true}}}, {"at", {{"default", ""}}}}}};
  }

  static restream::Result fetch(restream::Context&, const restream::Params& params, const restream::Keys&) {
    const std::string& attempt = params.at("attempt");
    return restream::item({{"id", attempt}, {"outcome", attempts.at(attempt)(params.at("at"))}});
  }
};

}  // namespace

RESTREAM_FETCHER(Burglar)
