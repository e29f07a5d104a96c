// The fan-out benchmark's other bed: a whole restreamd, and the API that it asks.
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "fanout_bed.hpp"
#include "fanout_clients.hpp"
#include "measure.hpp"
#include "processes.hpp"

namespace bench {

namespace {

namespace fs = std::filesystem;

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) throw std::runtime_error("a connection of the benchmark's has broken");
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

// An API that begins to answer each request at once, and ends when it has something to say.
class Api {
 public:
  Api() : listening_(listen_anywhere()), thread_([this] { run(); }) {}
  ~Api() {
    shutdown(listening_, SHUT_RDWR);
    thread_.join();
    close(listening_);
  }
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  [[nodiscard]] std::uint16_t port() const { return local_port(listening_); }
  void wait_for_request() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(10), [this] { return asked_.has_value(); }))
      throw std::runtime_error("restreamd does not poll; its log is in the benchmark's folder");
  }
  void answer(const std::string& body) {
    wait_for_request();
    const std::lock_guard lock(mutex_);
    std::array<char, 20> size{};
    const auto digits = std::to_chars(size.data(), size.data() + size.size(), body.size(), 16);
    write_all(*std::exchange(asked_, std::nullopt),
              std::string(size.data(), digits.ptr) + "\r\n" + body + "\r\n0\r\n\r\n");
  }

 private:
  void run() {
    run_on(1);  // not where the server is measured
    std::array<char, 4096> buffer{};
    std::vector<pollfd> open{{.fd = listening_, .events = POLLIN, .revents = 0}};
    while (poll(open.data(), open.size(), -1) > 0 && (open.front().revents & POLLHUP) == 0) {
      for (std::size_t i = open.size() - 1; i > 0; --i) {
        if (open[i].revents == 0) continue;
        const ssize_t size = read(open[i].fd, buffer.data(), buffer.size());
        if (size <= 0) {
          close(open[i].fd);
          open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
        } else if (std::string_view(buffer.data(), static_cast<std::size_t>(size)).ends_with("\r\n\r\n")) {
          write_all(open[i].fd,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
          const std::lock_guard lock(mutex_);
          asked_ = open[i].fd;
          changed_.notify_one();
        }
      }
      if (open.front().revents == POLLIN)
        open.push_back({.fd = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC), .events = POLLIN, .revents = 0});
    }
    for (std::size_t i = 1; i < open.size(); ++i) close(open[i].fd);
  }

  int listening_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<int> asked_;  // GUARDED_BY(mutex_): where a request waits
  std::thread thread_;        // last: starts when all else is there
};

// A subscriber of its own, which tells what the others are sent.
class Tap {
 public:
  Tap(std::uint16_t port, const std::string& subscribe) : fd_(connect_to(port)) {
    constexpr timeval patience{.tv_sec = 60, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    write_all(fd_,
              "GET /channels HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    while (!seen_.contains("\r\n\r\n")) read_more();
    seen_.erase(0, seen_.find("\r\n\r\n") + 4);
    write_all(fd_, subscribe);
    while (!take_frames(1).contains(R"("type":"subscribed")")) continue;
  }
  ~Tap() { close(fd_); }
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  [[nodiscard]] std::uint16_t port() const { return local_port(fd_); }
  // Who says nothing for a minute is taken to be gone.
  void send_heartbeat() const { write_all(fd_, masked_pong); }
  // The next so many, as they came, without pings.
  std::string take_frames(std::size_t count) {
    std::size_t end = 0;
    for (std::size_t i = 0; i < count;) {
      std::optional<std::size_t> size;
      while (!(size = frame_at(end))) read_more();
      const bool control = (static_cast<unsigned char>(seen_[end]) & 8U) != 0;
      if (control) {
        seen_.erase(end, *size);
        continue;
      }
      end += *size;
      ++i;
    }
    std::string taken = seen_.substr(0, end);
    seen_.erase(0, end);
    return taken;
  }

 private:
  // Nothing while it is not whole.
  [[nodiscard]] std::optional<std::size_t> frame_at(std::size_t at) const {
    const auto byte = [this](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(seen_[i])); };
    if (seen_.size() < at + 2) return std::nullopt;
    std::size_t size = byte(at + 1);
    if (size == 127) throw std::runtime_error("messages are too large for this benchmark; 60,000 bytes is the most");
    if (size == 126 && seen_.size() < at + 4) return std::nullopt;
    size = size == 126 ? 4 + (byte(at + 2) << 8U) + byte(at + 3) : 2 + size;
    return seen_.size() < at + size ? std::nullopt : std::optional(size);
  }
  void read_more() {
    std::array<char, 65536> buffer{};
    const ssize_t size = read(fd_, buffer.data(), buffer.size());
    if (size <= 0) throw std::runtime_error("restreamd sends the benchmark's own subscriber nothing any more");
    seen_.append(buffer.data(), static_cast<std::size_t>(size));
  }

  int fd_;
  std::string seen_;
};

struct Whole {
  Whole(const fs::path& directory, unsigned threads) {
    const fs::path build = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
    const fs::path plugins = directory / "plugins";
    fs::create_directories(plugins);
    fs::copy_file(build / "bench/bench-list.so", plugins / "bench-list.so");
    fs::permissions(plugins / "bench-list.so", fs::perms::owner_all);
    std::ofstream(directory / "restream.yaml")
        << "listen: {port: " << port << ", threads: " << threads << "}\n"
        << "limits: {connections: 40000, connections_per_address: 40000}\n"
        << "plugins: {directory: '" << plugins.string() << "', call_timeout: 5m}\nstate: {directory: '"
        << directory.string() << "'}\n"
        << "fetchers:\n  bench-list: {origin: 'http://127.0.0.1:" << api.port()
        << "', allow_private: true, poll_interval: 100ms, force_interval: true}\n";
    daemon.emplace(std::vector<std::string>{build / "bin/restreamd", "--config", directory / "restream.yaml"},
                   directory / "restreamd.log");
    Child::wait_for(port, "restreamd");
    tap.emplace(port, client_frame(R"({"action":"subscribe","channel":"bench-list","params":{"name":"00000"},)"
                                   R"("snapshot":false})"));
    // `pending` turns into `live` with the first poll: two messages that are no events.
    tap->take_frames(1);
    api.answer(R"({"items":[]})");
    tap->take_frames(1);
  }
  // The daemon with its hosts.
  [[nodiscard]] double cpu_seconds() const {
    double sum = 0;
    for (const pid_t process : descendants(daemon->pid())) sum += process_cpu_seconds(process);
    return sum;
  }
  [[nodiscard]] std::vector<int> sockets() const {
    const pid_t pid = daemon->pid();
    const auto process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    std::vector<int> all;
    for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
      const int fd = std::stoi(entry.path().filename());
      if (!fs::read_symlink(entry.path()).string().starts_with("socket:")) continue;
      if (const long copy = syscall(SYS_pidfd_getfd, process, fd, 0); copy >= 0) all.push_back(static_cast<int>(copy));
    }
    close(process);
    std::vector<int> found = connected_to(port, all);
    for (const int fd : all)
      if (std::ranges::find(found, fd) == found.end()) close(fd);
    std::erase_if(found, [this](int fd) { return peer_port(fd) == tap->port(); });
    return found;
  }

  std::uint16_t port = free_port();
  Api api;
  std::optional<Child> daemon;
  std::optional<Tap> tap;
};

}  // namespace

Bed whole_bed(const fs::path& directory, const BedOptions& options) {
  const auto whole = std::make_shared<Whole>(directory, options.threads);
  return {.port = whole->port,
          .settle = [whole] { whole->api.wait_for_request(); },
          .publish =
              [whole](const std::string& items, std::size_t count) {
                whole->tap->send_heartbeat();
                whole->api.answer(R"({"items":)" + items + "}");
                return std::make_shared<const std::string>(whole->tap->take_frames(count));
              },
          .cpu_seconds = [whole] { return whole->cpu_seconds(); },
          .serving_seconds = [whole] { return serving_seconds(whole->daemon->pid()); },
          .memory = [whole] { return anonymous_memory(whole->daemon->pid()); },
          .sockets = [whole] { return whole->sockets(); }};
}

}  // namespace bench
