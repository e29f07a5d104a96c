#include "fanout_clients.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

namespace bench {

namespace {

constexpr std::string_view handshake =
    "GET /channels HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

// A masked text frame with a mask of zeros, which leaves the payload as it is.
std::string client_frame(const std::string& payload) {
  std::string out = "\x81";
  if (payload.size() < 126) {
    out += static_cast<char>(0x80U | payload.size());
  } else {
    out += static_cast<char>(0x80 | 126);
    out += static_cast<char>(payload.size() >> 8U);
    out += static_cast<char>(payload.size() & 0xffU);
  }
  out.append(4, '\0');
  return out + payload;
}

int connect_one(std::uint16_t port, const std::string& subscribe) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr generic{};
  static_assert(sizeof generic == sizeof address);
  std::memcpy(&generic, &address, sizeof address);
  if (fd < 0 || ::connect(fd, &generic, sizeof generic) != 0) return -1;
  if (send(fd, handshake.data(), handshake.size(), MSG_NOSIGNAL) < 0) return -1;
  // Reads up to the snapshot, which ends what comes before live events (with an empty channel: `"items":[]}`).
  std::string seen;
  std::array<char, 4096> buffer{};
  bool asked = false;
  while (seen.find("\"items\":[") == std::string::npos) {
    const ssize_t size = read(fd, buffer.data(), buffer.size());
    if (size <= 0) return -1;
    seen.append(buffer.data(), static_cast<std::size_t>(size));
    if (!asked && seen.find("\"ready\"") != std::string::npos) {
      asked = true;
      if (send(fd, subscribe.data(), subscribe.size(), MSG_NOSIGNAL) < 0) return -1;
    }
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

[[noreturn]] void run(int pipe, std::size_t count, const std::string& message, Tally& tally) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  run_on(1);
  std::uint16_t port = 0;
  if (read(pipe, &port, sizeof port) != sizeof port) _exit(0);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const std::string subscribe = client_frame(message);
  for (std::size_t i = 0; i < count; ++i) {
    const int fd = connect_one(port, subscribe);
    if (fd < 0) {
      tally.failed = true;
      _exit(1);
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    ++tally.subscribed;
  }
  std::vector<char> buffer(1U << 20U);
  std::array<epoll_event, 256> events{};
  for (;;) {
    // Looks at its sockets a thousand times a second and never sleeps in epoll_wait(): a sender that has to wake a
    // process on the same machine pays for that, the more often the slower it sends, which real subscribers elsewhere
    // do not ask of it.
    const int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 0);
    if (ready <= 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::uint64_t got = 0;
    for (int i = 0; i < ready; ++i) {
      const ssize_t size = read(events.at(static_cast<std::size_t>(i)).data.fd, buffer.data(), buffer.size());
      if (size > 0) got += static_cast<std::uint64_t>(size);
      if (size == 0) _exit(0);
    }
    tally.bytes += got;
  }
}

}  // namespace

void run_on(unsigned cpu) {
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus);
}

Clients::Clients(std::size_t count, std::string subscribe_message) {
  void* shared = mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  std::array<int, 2> ends{};
  if (shared == MAP_FAILED || pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot set up the clients");
  tally_ = new (shared) Tally;
  child_ = fork();
  if (child_ == 0) {
    close(ends[1]);
    run(ends[0], count, subscribe_message, *tally_);
  }
  close(ends[0]);
  pipe_ = ends[1];
}

Clients::~Clients() {
  if (child_ > 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  close(pipe_);
  munmap(tally_, sizeof(Tally));
}

void Clients::connect(std::uint16_t port) {
  if (write(pipe_, &port, sizeof port) != sizeof port) throw std::runtime_error("the clients are gone");
}

}  // namespace bench
