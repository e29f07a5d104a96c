// A crash leaves no core, which would hold every key: with a soft limit that would allow one, in a folder where one
// could be written.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    std::string pattern = "/tmp/restream-core-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path path;
};

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Starts a program in `folder` as somebody would who wants its core; its output goes to `folder`/output, and its
// standard input stays open with nothing in it.
struct Crasher {
  Crasher(const fs::path& folder, std::vector<std::string> words) : output(folder / "output") {
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    REQUIRE(pipe2(input.data(), O_CLOEXEC) == 0);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid != 0) return;
    rlimit limit{};
    getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_CORE, &limit);
    const int out = open(output.c_str(), O_WRONLY | O_CREAT, 0600);
    dup2(input[0], STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    // A sanitizer would catch the signal, or switch cores off itself.
    setenv("ASAN_OPTIONS", "handle_segv=0:disable_coredump=0:detect_leaks=0", 1);
    setenv("TSAN_OPTIONS", "handle_segv=0:disable_coredump=0", 1);
    if (chdir(folder.c_str()) == 0) execv(pointers[0], pointers.data());
    _exit(127);
  }
  ~Crasher() {
    if (pid > 0) kill(pid, SIGKILL), waitpid(pid, nullptr, 0);
    for (const int end : input) close(end);
  }
  Crasher(const Crasher&) = delete;
  Crasher& operator=(const Crasher&) = delete;

  // Gives up quietly: then the core shows.
  void wait_until(const std::function<bool()>& holds) const {
    for (int i = 0; i < 3000 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  [[nodiscard]] bool says(const std::string& words) const { return text_of(output).find(words) != std::string::npos; }
  [[nodiscard]] bool has_core_limit_of_zero() const {
    return text_of("/proc/" + std::to_string(pid) + "/limits")
               .find("Max core file size        0                    0 ") != std::string::npos;
  }
  [[nodiscard]] std::string last_words() const { return text_of(output); }

  int crash() {
    kill(pid, SIGSEGV);
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    pid = 0;
    return status;
  }

  fs::path output;
  pid_t pid = 0;
  std::array<int, 2> input{};
};

bool has_core(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("core")) return true;
  return false;
}

std::vector<std::string> keys_command(const fs::path& folder, const std::vector<std::string>& verb) {
  std::vector<std::string> words{RESTREAM_KEYS};
  words.insert(words.end(), verb.begin(), verb.end());
  words.insert(words.end(), {"--file", folder / "keys.restream", "--master-key", folder / "master.key"});
  return words;
}

}  // namespace

TEST_CASE("here a crash does leave a core, unless a program sees to it") {
  const Folder folder;
  Crasher sleep(folder.path, {"/bin/sleep", "60"});
  sleep.wait_until(
      [&] { return fs::read_symlink("/proc/" + std::to_string(sleep.pid) + "/exe").filename() != "unit-hygiene"; });
  const int status = sleep.crash();
  REQUIRE(WIFSIGNALED(status));
  if (!WCOREDUMP(status)) WARN("no program leaves a core on this machine, so the next tests show nothing");
}

TEST_CASE("restream-keys that crashes leaves no core") {
  const Folder folder;
  {
    Crasher init(folder.path, keys_command(folder.path, {"init"}));
    int status = 0;
    REQUIRE(waitpid(init.pid, &status, 0) == init.pid);
    init.pid = 0;
    REQUIRE(status == 0);
  }
  Crasher set(folder.path, keys_command(folder.path, {"set", "fetcher", "key"}));  // waits for the value
  set.wait_until([&] { return set.has_core_limit_of_zero(); });
  const int status = set.crash();
  INFO(set.last_words());
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
  CHECK_FALSE(WCOREDUMP(status));
  CHECK_FALSE(has_core(folder.path));
}

TEST_CASE("restreamd that crashes leaves no core") {
  const Folder folder;
  fs::create_directory(folder.path / "plugins");
  fs::create_directory(folder.path / "state");
  std::ofstream(folder.path / "restream.yaml")
      << "listen: {port: 0, threads: 1}\nplugins: {directory: " << folder.path / "plugins"
      << ", sandbox: best-effort}\nstate: {directory: " << folder.path / "state"
      << "}\nkeys: {file: " << folder.path / "none" << "}\n";
  Crasher daemon(folder.path, {RESTREAMD, "--config", folder.path / "restream.yaml"});
  daemon.wait_until([&] { return daemon.says("listening"); });
  REQUIRE(daemon.says("listening"));
  const int status = daemon.crash();
  INFO(daemon.last_words());
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
  CHECK_FALSE(WCOREDUMP(status));
  CHECK_FALSE(has_core(folder.path));
}
