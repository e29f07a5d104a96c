// restream-fetcher-host: loads one plugin and runs its calls. Started by restreamd alone, with its end of a socketpair
// as fd 3, stdout and stderr as pipes into the daemon's log, and no environment. It ends when fd 3 closes. With --probe
// it says what of its sandbox cannot be had here, and ends.
//
// Threads: main reads fd 3; every call runs on a worker of its own.
#include <restream/fetcher.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

#include "limits.hpp"
#include "link.hpp"
#include "plugin.hpp"
#include "plugin_copy.hpp"
#include "running_call.hpp"
#include "sandbox.hpp"
#include "workers.hpp"

namespace {

using namespace restream;
using namespace restream::host;

constexpr int daemon_fd = 3;
constexpr int misuse = 2;
constexpr int software_fault = 70;

// Destructors and atexit handlers of a plugin have no business running while its threads do.
[[noreturn]] void end(int status, const std::string& line = {}) {
  if (!line.empty()) std::fprintf(stderr, "%s\n", line.c_str());
  std::fflush(stdout);
  std::fflush(stderr);
  _exit(status);
}

bool is_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

void end_on_fault(const auto& work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    end(software_fault, "out of memory: the plugin has used up what `plugins.memory` allows");
  } catch (const std::exception& error) {
    end(software_fault, std::string("the fetcher host failed: ") + error.what());
  }
}

// The calls under way. Never destroyed: workers use it until the process is gone, also while main is on its way out.
class Server {
 public:
  Server(Link& daemon, const Plugin& plugin) : daemon_(daemon), plugin_(plugin) {}

  // Takes frames until the daemon hangs up.
  void serve() {
    while (auto frame = daemon_.receive()) {
      if (auto* call = std::get_if<wire::Call>(&frame->message)) {
        start(std::make_shared<RunningCall>(daemon_, frame->call, std::move(*call)));
      } else if (auto* response = std::get_if<wire::HttpResponse>(&frame->message)) {
        if (const auto running = find(frame->call)) running->answer(std::move(*response));
      } else if (std::holds_alternative<wire::Cancel>(frame->message)) {
        if (const auto running = find(frame->call)) running->cancel();
      } else {
        throw std::runtime_error("the daemon sent a frame that is not for a fetcher host");
      }
    }
  }

 private:
  ~Server() = default;

  void start(const std::shared_ptr<RunningCall>& call) {
    {
      const std::scoped_lock lock(mutex_);
      calls_.emplace(call->id(), call);
    }
    workers_.submit([this, call] { end_on_fault([&] { run(*call); }); });
  }

  void run(RunningCall& call) {
    const wire::Result result = call.run(plugin_);
    {
      const std::scoped_lock lock(mutex_);
      calls_.erase(call.id());
    }
    daemon_.send(call.id(), result);
    // A plugin that leaked its memory away would fail every call from here on. A new host can serve them.
    if (result.code != RESTREAM_OK && out_of_memory()) throw std::bad_alloc();
  }

  // None when the call is over.
  std::shared_ptr<RunningCall> find(std::uint64_t id) {
    const std::scoped_lock lock(mutex_);
    const auto found = calls_.find(id);
    return found == calls_.end() ? nullptr : found->second;
  }

  Link& daemon_;
  const Plugin& plugin_;
  Workers workers_;
  std::mutex mutex_;  // for calls_
  std::unordered_map<std::uint64_t, std::shared_ptr<RunningCall>> calls_;
};

void run_host() {
  auto& daemon = *new Link(daemon_fd);
  const wire::Start start = daemon.receive_start();
  const auto refuse = [&daemon](const std::string& why) {
    daemon.send(0, wire::Refused{why});
    end(0);
  };

  // What the plugin's file and the system's are still needed for.
  const auto copy = copy_plugin(start.plugin);
  if (!copy) refuse(copy.error());
  tzset();  // localtime() keeps what it read of /etc/localtime

  set_limits(start.memory);
  enter_sandbox(start.sandbox);

  const auto& plugin = *new auto(load_plugin(*copy, std::filesystem::path(start.plugin).filename().string()));
  if (!plugin) refuse(plugin.error());
  close(*copy);
  daemon.send(0, wire::Ready{plugin->abi_major, plugin->abi_minor, plugin->sdk_version});
  (new Server(daemon, *plugin))->serve();
  end(0);
}

// Tries the sandbox on itself: a line for each part that cannot be had, and one that says that this is all.
[[noreturn]] void probe() {
  for (const std::string& missing : enter_sandbox(wire::Sandbox::best_effort)) std::printf("%s\n", missing.c_str());
  std::puts("probed");
  end(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--probe") end_on_fault(probe);
  if (!is_socket(daemon_fd)) end(misuse, "restream-fetcher-host is started by restreamd, not by hand");
  end_on_fault(run_host);
}
