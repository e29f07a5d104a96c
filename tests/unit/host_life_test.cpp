#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "fetch/host_process_spawn.hpp"
#include "host_support.hpp"

namespace restream::test {

bool exists(int pid) { return ::kill(pid, 0) == 0; }

bool has_children() {
  siginfo_t info{};
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

}  // namespace restream::test

using namespace restream;
using namespace restream::test;

namespace {

// Whether the child ends within 20 seconds; it is gone afterwards in any case.
bool ends(pid_t pid, int& status) {
  for (int i = 0; i < 2000; ++i) {
    if (waitpid(pid, &status, WNOHANG) == pid) return true;
    std::this_thread::sleep_for(10ms);
  }
  ::kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  return false;
}

}  // namespace

TEST_CASE("the child has four descriptors, no environment, no odd signals, and its limits") {
  setenv("RESTREAM_TEST_SECRET", "must not be seen", 1);
  std::vector<int> inheritable;  // no CLOEXEC
  for (int i = 0; i < 10; ++i) inheritable.push_back(open("/dev/null", O_RDONLY));
  struct sigaction ignore{};
  struct sigaction before{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, &before);
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, nullptr);

  Host host("actor");
  host.started();
  const std::string output = call(host, "process").output;

  sigprocmask(SIG_UNBLOCK, &term, nullptr);
  sigaction(SIGPIPE, &before, nullptr);
  for (const int fd : inheritable) close(fd);
  CHECK_THAT(output, Catch::StartsWith("fds 0 1 2 3; environment"));
  if (!sanitized) CHECK_THAT(output, Catch::Contains("environment; no_new_privs 1"));
  CHECK_THAT(output, !Catch::Contains("SECRET") && !Catch::Contains("PATH"));
  CHECK_THAT(output, Catch::Contains("; no_new_privs 1; dumpable 0; blocked 0; pipe default"));
  CHECK_THAT(output, Catch::Contains("; core 0/0; fsize 0/0; nofile 64/64"));
  if (!sanitized) CHECK_THAT(output, Catch::EndsWith("; data 268435456/268435456"));
}

TEST_CASE("a killed host is reaped, and ends after its calls") {
  Host host("actor");
  host.started();
  const int pid = host.process->pid();
  const auto pending = begin(host, "hang");
  host.process->kill("enough");
  CHECK_FALSE(pending.done());  // nothing from inside kill()
  CHECK(host.until_ended().reason == "killed: enough");
  CHECK(pending.done());
  CHECK_FALSE(exists(pid));
  CHECK_FALSE(has_children());
}

TEST_CASE("destroying a host kills and reaps its child and calls nobody back") {
  bool called = false;
  int pid = 0;
  {
    Host host("actor");
    host.started();
    pid = host.process->pid();
    host.process->call(HostFunction::fetch, "hang", std::chrono::steady_clock::now() + 60s,
                       [&](CallResult) { called = true; });
    host.run_until([] { return false; }, 20ms);
    host.process.reset();
    CHECK(host.run_until([pid] { return !exists(pid); }));
    CHECK_FALSE(host.ended);
  }
  CHECK_FALSE(called);
  CHECK_FALSE(has_children());
}

TEST_CASE("a child is reaped even when the loop is gone before it ended") {
  for (const bool ready : {false, true}) {
    {
      Host host("actor");
      if (ready)
        host.started();
      else
        REQUIRE(host.process->start());
    }
    CHECK_FALSE(has_children());
  }
}

TEST_CASE("a host may be destroyed by any of its callbacks") {
  for (const std::string request : {"echo x", "crash", "hang", "log x", "http https://x/"}) {
    Host host("actor");
    host.started();
    bool destroyed = false;
    const auto destroy = [&] {
      destroyed = true;
      host.process.reset();
    };
    host.on_http = [&](HttpAsk) { destroy(); };
    for (int i = 0; i < 3; ++i)
      host.process->call(HostFunction::fetch, request, std::chrono::steady_clock::now() + 500ms, [&](CallResult) {
        CHECK_FALSE(destroyed);
        destroy();
      });
    CHECK(host.run_until([&] { return destroyed && !has_children(); }));
    CHECK_FALSE(host.ended);
  }
}

TEST_CASE("what a plugin without a sandbox forks goes with its host") {
  // Orphans come to this process, so that it can see them end.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  HostOptions options = options_for("actor");
  options.sandbox = SandboxMode::off;  // it allows no fork()
  Host host(options);
  host.started();
  const int forked = std::stoi(call(host, "fork").output);
  REQUIRE(exists(forked));
  CHECK(call(host, "crash").kind == CallResult::Kind::lost);
  host.until_ended();
  int status = 0;
  CHECK(ends(forked, status));
  CHECK(WIFSIGNALED(status));
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  CHECK_FALSE(has_children());
}

TEST_CASE("a host ends with its daemon, whatever its plugin is doing and even when it is stopped") {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (const bool stopped : {false, true}) {
    std::array<int, 2> report{};
    REQUIRE(pipe(report.data()) == 0);
    const pid_t daemon = fork();
    REQUIRE(daemon >= 0);
    if (daemon == 0) {
      Host host("actor");
      host.started();
      begin(host, "hang");
      host.run_until([] { return false; }, 50ms);
      const int pid = host.process->pid();
      if (stopped) ::kill(pid, SIGSTOP);  // then it cannot see that its socket is closed
      static_cast<void>(!write(report[1], &pid, sizeof pid));
      raise(SIGKILL);
    }
    int pid = 0;
    REQUIRE(read(report[0], &pid, sizeof pid) == sizeof pid);
    int status = 0;
    CHECK(ends(daemon, status));
    CHECK(ends(pid, status));
    close(report[0]);
    close(report[1]);
  }
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  CHECK_FALSE(has_children());
}

TEST_CASE("a host without a daemon to talk to ends by itself") {
  auto spawned = spawn_host(options_for("actor").host, "actor");
  REQUIRE(spawned);
  spawned->socket = OwnedFd();
  const HostExit exit = reap_host(spawned->process.get());
  CHECK(exit.text == "exit status 70");
  CHECK_FALSE(exit.killed);
}

TEST_CASE("starting and ending hosts leaves no descriptor behind") {
  const auto open_fds = [] {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) != -1 ? 1 : 0;
    return count;
  };
  const int before = open_fds();
  for (int i = 0; i < 3; ++i) {
    Host host("actor");
    host.started();
    call(host, "crash");
    host.until_ended();
  }
  HostOptions missing = options_for("actor");
  missing.host = "/nonexistent";
  Host host(missing);
  CHECK_FALSE(host.process->start());
  host.process.reset();
  const int loop = 3;  // this host's own: epoll, timer, event
  CHECK(open_fds() <= before + loop);
}

TEST_CASE("a host whose threads cannot be counted is told of, once") {
  Host seen("actor");
  HostOptions options = options_for("actor");
  options.proc = std::filesystem::path(TEST_BUILD) / "tests";  // as where /proc hides what is not ours to trace
  Host unseen(options);
  seen.started();
  unseen.started();
  CHECK(unseen.run_until([&] { return unseen.uncounted > 0; }, 20s));
  // Twice a second it is tried.
  unseen.run_until([] { return false; }, 1200ms);
  seen.run_until([] { return false; }, 1200ms);
  CHECK(unseen.uncounted == 1);
  CHECK(seen.uncounted == 0);
  CHECK(call(unseen, "echo all the same").output == "all the same");
}
