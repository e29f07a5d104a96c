// What a plugin can and cannot do, tried from inside of one, in a host with its sandbox and in one without: what does
// not succeed without it would prove nothing.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "fetch/sandbox_probe.hpp"
#include "host_support.hpp"

using namespace restream;
using namespace restream::test;
using nlohmann::json;

namespace {

HostOptions in_mode(const std::string& plugin, SandboxMode mode) {
  HostOptions options = options_for(plugin);
  options.sandbox = mode;
  return options;
}

std::string request(const json& params) {
  return json{
      {"call", "fetch"}, {"channel", "x"}, {"params", params}, {"keys", json::object()}, {"config", json::object()}}
      .dump();
}

// How it went, or "lost" when the host was.
std::string attempt(Host& host, const std::string& what, const std::string& at = "") {
  const CallResult result = call(host, request({{"attempt", what}, {"at", at}}));
  if (result.kind != CallResult::Kind::returned) return "lost";
  INFO(what << ' ' << at << ": " << result.output);
  REQUIRE(result.code == RESTREAM_OK);
  return json::parse(result.output).at("result").at(0).at("outcome");
}

struct File {
  std::filesystem::path path;
  explicit File(const char* name) : path(std::filesystem::path(TEST_BUILD) / "tests" / name) {
    std::ofstream(path) << "secret";
  }
  ~File() {
    std::filesystem::remove_all(path);
    std::filesystem::remove_all(path.string() + ".gone");
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
};

std::string address_of(const void* place) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%p", place);
  return text.data();
}

constexpr const char* no_such_call = "Function not implemented";
constexpr const char* no_access = "Permission denied";

}  // namespace

TEST_CASE("a plugin gets at no file, no process and no network") {
  const File file("sandbox-secret");
  const std::string folder = (file.path.parent_path() / "sandbox-folder").string();
  const std::string parent = std::to_string(getpid());
  static const char here = 'x';
  const std::string memory_of_parent = parent + ' ' + address_of(&here);
  struct Try {
    const char* attempt;
    std::string at;
    const char* refused;
    bool as_root = false;  // whether only root succeeds without a sandbox
  };
  const std::vector<Try> tries{
      {"at-load", "read", no_access},
      {"at-load", "socket", no_such_call},
      {"read", file.path, no_access},
      {"read", "/etc/passwd", no_access},
      {"read", "/proc/self/environ", no_access},
      {"read", "/proc/" + parent + "/maps", no_access},
      {"read-memory", memory_of_parent, no_access, true},
      {"copy-memory", memory_of_parent, no_such_call, true},
      {"write", file.path.string(), no_access},
      {"write", folder + "-new", no_access},
      {"chmod", file.path, no_such_call},
      {"list", file.path.parent_path(), no_access},
      {"link", "/proc/self/exe", no_such_call},
      {"mkdir", folder, no_such_call},
      {"rename", folder, no_such_call},
      {"truncate", file.path, no_such_call},
      {"remove", folder + "-new", no_such_call},
      {"socket", "", no_such_call},
      {"socketpair", "", no_such_call},
      {"fork", "", no_such_call},
      {"clone", "", no_such_call},
      {"ptrace", parent, no_such_call, true},
      {"kill", parent, no_such_call},
      {"kill-thread", parent, no_such_call},
      {"kill-group", "", no_such_call},
      {"queue", parent, no_such_call},
      {"owner", parent, no_such_call},
      {"pidfd", parent, no_such_call},
      {"memfd", "", no_such_call},
      {"shared-memory", "", no_such_call},
      {"growing-memory", "", no_such_call},
      {"segment", "", no_such_call},
      {"limit", "", no_such_call},
      {"orphan", "", no_such_call},
      {"dumpable", "", no_such_call},
      {"nice", "", no_such_call},
      {"namespace", "", no_such_call},
      {"exec", "/bin/true", no_such_call},  // last: without a sandbox the host is another program then
  };
  // What sanitizers need is not refused under them.
  const auto left_out = [](const std::string& name) {
    if (!sanitized) return false;
    for (const char* one : {"shared-memory", "growing-memory", "limit", "orphan", "dumpable", "link"})
      if (name == one) return true;
    return false;
  };

  Host inside(in_mode("burglar", SandboxMode::required));
  inside.started();
  Host outside(in_mode("burglar", SandboxMode::off));
  outside.started();
  for (const Try& one : tries) {
    if (left_out(one.attempt) || (sanitized && one.at.starts_with("/proc/self"))) continue;
    INFO(one.attempt << ' ' << one.at);
    CHECK(attempt(inside, one.attempt, one.at) == one.refused);
    if (one.as_root && geteuid() != 0) continue;
    const std::string free = attempt(outside, one.attempt, one.at);
    CHECK((free.starts_with("done") || free == "lost"));
  }
  CHECK_FALSE(inside.ended);
  CHECK(outside.until_ended().reason == "exit status 0");
}

TEST_CASE("a plugin reads no other host's memory") {
  Host victim(in_mode("burglar", SandboxMode::required));
  victim.started();
  // The first place that can be read, which is as good as any other.
  std::ifstream maps("/proc/" + std::to_string(victim.process->pid()) + "/maps");
  std::string line;
  while (std::getline(maps, line) && line.find(" r") == line.npos) {
  }
  if (line.empty()) return;  // not root: nobody reads it, with or without a sandbox
  const std::string at = std::to_string(victim.process->pid()) + " 0x" + line.substr(0, line.find('-'));
  for (const SandboxMode mode : {SandboxMode::required, SandboxMode::off}) {
    Host host(in_mode("burglar", mode));
    host.started();
    const bool off = mode == SandboxMode::off;
    CHECK(attempt(host, "read-memory", at) == (off ? "done" : no_access));
    CHECK(attempt(host, "copy-memory", at) == (off ? "done" : no_such_call));
  }
}

TEST_CASE("with half of the sandbox a plugin still gets neither files nor network") {
  // What best-effort leaves where the kernel has but one of the two; host_probe below says that the other is missing.
  const File file("sandbox-half");
  const std::string host = options_for("burglar").host.string();
  struct Half {
    const char* missing;
    std::string read;
    std::string socket;
  };
  for (const Half& half :
       {Half{"landlock_create_ruleset=38", "done: it was read", no_such_call}, Half{"filter=22", no_access, "done"}}) {
    const std::string script = std::string(TEST_BUILD) + "/tests/half-sandbox";
    // HostProcess starts a program without arguments of ours: this one.
    {
      std::ofstream out(script);
      out << "#!/bin/sh\nexec " << TEST_BUILD << "/tests/tools/older-kernel " << half.missing << " -- " << host
          << " \"$@\"\n";
    }
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    HostOptions options = in_mode("burglar", SandboxMode::best_effort);
    options.host = script;
    Host confined(options);
    confined.started();
    CHECK(attempt(confined, "read", file.path) == half.read);
    CHECK(attempt(confined, "socket") == half.socket);

    // And required is required, also for a host whose daemon has found all well before.
    options.sandbox = SandboxMode::required;
    Host refused(options);
    REQUIRE(refused.process->start());
    const HostEnd end = refused.until_ended();
    CHECK(end.reason == "exit status 70");
    CHECK_THAT(end.last_line, Catch::Contains("it cannot be confined: "));

    const auto missing = probe_sandbox(script);
    REQUIRE(missing);
    REQUIRE(missing->size() == 1);
    const bool landlock = std::string(half.missing).starts_with("landlock");
    CHECK_THAT(missing->front(), Catch::StartsWith(landlock ? "Landlock: the kernel has none" : "seccomp: "));
    std::filesystem::remove(script);
  }
}

TEST_CASE("a probe tells what is missing, and nothing where all is there") {
  const std::filesystem::path host = options_for("burglar").host;
  const auto missing = probe_sandbox(host);
  REQUIRE(missing);
  CHECK(missing->empty());

  const auto none = probe_sandbox("/nonexistent/host");
  REQUIRE_FALSE(none);
  CHECK_THAT(none.error(), Catch::Contains("/nonexistent/host: No such file"));
  const auto other = probe_sandbox("/bin/false");
  REQUIRE_FALSE(other);
  CHECK_THAT(other.error(), Catch::Contains("could not try its sandbox: exit status 1"));
  CHECK_FALSE(has_children());
}

TEST_CASE("what honest plugins do works in the sandbox") {
  for (const SandboxMode mode : {SandboxMode::off, SandboxMode::required}) {
    Host host(in_mode("everyday", mode));
    host.started();
    const CallResult result = call(host, request(json::object()));
    INFO((mode == SandboxMode::off ? "off" : "required"));
    const auto told = json::parse(result.output).at("result");
    if (mode == SandboxMode::off)
      CHECK(told == json::parse(R"([{"id": "getaddrinfo"}])"));  // it finds localhost then
    else
      CHECK(told == json::array());
  }
}

TEST_CASE("abort() in a plugin reads as abort") {
  Host host("actor");
  host.started();
  CHECK(call(host, "abort").kind == CallResult::Kind::lost);
  CHECK(host.until_ended().reason == "signal 6 (SIGABRT)");
}
