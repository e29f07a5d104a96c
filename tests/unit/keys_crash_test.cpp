// Killed at any moment, the old keystore or the new one is there and opens; and writers wait for each other.
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "keys_support.hpp"

namespace keys_test {

namespace {

// How long a test is: from the environment, or short.
int number_from(const char* name, int otherwise) {
  const char* const given = std::getenv(name);
  return given == nullptr ? otherwise : std::atoi(given);
}

// Starts restream-keys with `value` on its standard input; `trace` stops it at exec. Called on several threads, so it
// throws where a test would say REQUIRE, which is for one thread only.
pid_t start(std::vector<std::string> arguments, const std::string& value, bool trace) {
  arguments.insert(arguments.begin(), RESTREAM_KEYS);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  std::array<int, 2> input{};
  if (pipe2(input.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  if (write(input[1], value.data(), value.size()) != static_cast<ssize_t>(value.size()))
    throw std::runtime_error("write failed");
  close(input[1]);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    setsid();
    dup2(input[0], STDIN_FILENO);
    const int null = ::open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // the leak checker cannot be traced
    if (trace) ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    execv(RESTREAM_KEYS, pointers.data());
    _exit(127);
  }
  close(input[0]);
  return child;
}

// Lets it run to its next stop at a system call (each call stops twice: before and after). False when it has ended,
// which it must do well.
bool step(pid_t child) {
  ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
  int status = 0;
  if (waitpid(child, &status, 0) != child) FAIL("lost it");
  if (WIFSTOPPED(status)) return true;
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  return false;
}

bool at_flock(pid_t child) {
  __ptrace_syscall_info info{};
  ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info);
  return info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_flock;
}

// Runs it until it takes the lock (before that it only reads), then `stops` stops further, and kills it there. False
// when it came to its end before.
bool kill_at_system_call(const std::vector<std::string>& arguments, const std::string& value, int stops) {
  const pid_t child = start(arguments, value, true);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSTOPPED(status));
  ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD);
  while (!at_flock(child)) {
    if (!step(child)) FAIL("it took no lock");
  }
  for (int i = 0; i < stops; ++i) {
    if (!step(child)) return false;
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return true;
}

}  // namespace

TEST_CASE("a writer killed at any system call leaves the old keystore or the new one") {
  const Store store;
  REQUIRE(store.run({"set", "f", "k"}, "value 0").code == 0);
  std::string current = "value 0";
  int kept = 0;
  int replaced = 0;
  for (int stops = 1;; ++stops) {
    const std::string next = "value " + std::to_string(stops);
    const bool killed = kill_at_system_call(store.arguments({"set", "f", "k"}), next, stops);
    const std::string found = store.get("f", "k");
    if (found != current && found != next) FAIL("after " << stops << " stops: " << found);
    ++(found == current ? kept : replaced);
    current = found;
    if (!killed) break;
    REQUIRE(stops < 5000);
  }
  CHECK(kept > 10);
  CHECK(replaced > 2);  // after the rename there is still the directory to bring to disk, and the audit line
  CHECK(store.run({"set", "f", "k"}, "at last").code == 0);
  CHECK(store.get("f", "k") == "at last");
}

TEST_CASE("a rekey killed at any system call leaves a keystore that opens") {
  const Store store;
  REQUIRE(store.run({"set", "f", "k"}, "value").code == 0);
  for (int stops = 1;; ++stops) {
    const bool killed = kill_at_system_call(store.arguments({"rekey"}), "", stops);
    if (const std::string found = store.get("f", "k"); found != "value") FAIL("after " << stops << " stops: " << found);
    if (!killed) break;
    REQUIRE(stops < 5000);
  }
}

TEST_CASE("a writer killed at random leaves the old keystore or the new one") {
  const Store store;
  REQUIRE(store.run({"set", "f", "k"}, "value").code == 0);
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(store.run({"set", "f", "k"}, "value").code == 0);
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
  const int kills = number_from("RESTREAM_KEYS_KILLS", 30);  // 1000 for a long run
  std::minstd_rand random(1);
  std::string current = "value";
  int replaced = 0;
  for (int i = 0; i < kills; ++i) {
    const std::string next = "value " + std::to_string(i);
    const pid_t child = start(store.arguments({"set", "f", "k"}), next, false);
    // Half as long again as one takes, so that the end of the write is hit as often as its beginning.
    std::this_thread::sleep_for(std::chrono::microseconds(random() % static_cast<unsigned>(whole.count() * 3 / 2 + 1)));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    const std::string found = store.get("f", "k");
    if (found != current && found != next) FAIL("kill " << i << ": " << found);
    replaced += found == next ? 1 : 0;
    current = found;
  }
  if (kills > 30) WARN(kills << " kills, of which " << replaced << " came after the new keystore was in place");
}

TEST_CASE("two writers at once lose nothing") {
  const Store store;
  constexpr int kNames = 20;
  const std::chrono::seconds length(number_from("RESTREAM_KEYS_SECONDS", 0));  // 60 for a long run
  const auto end = std::chrono::steady_clock::now() + length;
  std::atomic<int> failures = 0;
  std::atomic<int> writes = 0;
  const auto value_of = [](int write) { return "value " + std::to_string(write); };
  // Gives how many it wrote: some of each name, or as many as there is time for.
  const auto write_many = [&](const std::string& fetcher, int& count) {
    while (count < kNames || std::chrono::steady_clock::now() < end) {
      const std::string name = "k" + std::to_string(count % kNames);
      const pid_t child = start(store.arguments({"set", fetcher, name}), value_of(count), false);
      int status = 0;
      waitpid(child, &status, 0);
      if (status != 0) ++failures;
      ++count;
      ++writes;
    }
  };
  int of_a = 0;
  int of_b = 0;
  std::thread first(write_many, "a", std::ref(of_a));
  std::thread second(write_many, "b", std::ref(of_b));
  first.join();
  second.join();
  if (length.count() > 0) WARN(writes << " writes in " << length.count() << " s");
  CHECK(failures == 0);
  CHECK(store.gen() == 1 + static_cast<std::uint64_t>(writes));
  for (const auto& [fetcher, count] : {std::pair("a", of_a), std::pair("b", of_b)})
    for (int i = count - kNames; i < count; ++i)
      CHECK(store.get(fetcher, "k" + std::to_string(i % kNames)) == value_of(i));
}

TEST_CASE("two who init at once agree on one keystore and one key") {
  for (int round = 0; round < 10; ++round) {
    const TempDir dir;
    const std::vector<std::string> init{"init", "--file", dir / "ks", "--master-key", dir / "mk"};
    const pid_t first = start(init, "", false);
    const pid_t second = start(init, "", false);
    int one = 0;
    int two = 0;
    waitpid(first, &one, 0);
    waitpid(second, &two, 0);
    CHECK((WEXITSTATUS(one) == 0) != (WEXITSTATUS(two) == 0));
    CHECK(run({.arguments = {"verify", "--file", dir / "ks", "--master-key", dir / "mk"}}).code == 0);
    CHECK(files_in(dir.path) == std::vector<std::string>{".lock", "ks", "ks.audit", "mk"});
  }
}

TEST_CASE("a writer waits five seconds for another, then gives up") {
  const Store store;
  auto lock = keys::StoreLock::take(store.file(), std::chrono::milliseconds(0));
  REQUIRE(lock);
  const auto begin = std::chrono::steady_clock::now();
  const Outcome outcome = store.run({"set", "f", "k"}, "v");
  const auto waited = std::chrono::steady_clock::now() - begin;
  CHECK(outcome.code == 7);
  CHECK(waited > std::chrono::milliseconds(4900));
  CHECK(waited < std::chrono::seconds(30));  // it is killed after a minute
  CHECK(store.run({"list"}).code == 0);      // readers do not wait
  CHECK(store.gen() == 1);
}

}  // namespace keys_test
