#include "fanout_clients.hpp"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "processes.hpp"

namespace bench {

namespace {

constexpr std::string_view end_of_head = "\r\n\r\n";
// In `subscribed`, after which nothing comes but live events where no snapshot is asked for; and in the snapshot of an
// event stream.
constexpr std::string_view subscribed = R"("resumed":)";
constexpr std::string_view compressed_frame = "\xc1";
constexpr std::string_view snapshot = R"("items":[)";

std::string for_channel(std::string text, std::size_t channel) {
  constexpr std::string_view place = "#####";
  const std::size_t at = text.find(place);
  if (at == std::string::npos) return text;
  const std::string digits = std::to_string(channel);
  return text.replace(at, place.size(), std::string(place.size() - digits.size(), '0') + digits);
}

// One subscriber's end: plain, or with TLS over it. A step at a time, never blocking.
class End {
 public:
  End(std::uint16_t port, SSL_CTX* tls, const Subscribing& how, std::size_t channel)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
        last_(how.last),
        to_send_(for_channel(how.request, channel)),
        message_(how.message.empty() ? "" : client_frame(for_channel(how.message, channel))) {
    const sockaddr there = loopback(port);
    failed_ = fd_ < 0 || (::connect(fd_, &there, sizeof there) != 0 && errno != EINPROGRESS);
    if (failed_ || tls == nullptr) return;
    ssl_ = SSL_new(tls);
    SSL_set_fd(ssl_, fd_);
    SSL_set_connect_state(ssl_);
  }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool failed() const { return failed_; }
  // Live events come.
  [[nodiscard]] bool subscribed() const { return subscribed_; }
  // There is something to send, or the connection is not there yet.
  [[nodiscard]] bool wants_to_write() const { return !to_send_.empty(); }

  void on_writable() {
    if (to_send_.empty()) return;
    const auto size = static_cast<int>(to_send_.size());
    const ssize_t sent = ssl_ != nullptr ? SSL_write(ssl_, to_send_.data(), size)
                                         : ::send(fd_, to_send_.data(), to_send_.size(), MSG_NOSIGNAL);
    if (sent > 0)
      to_send_.erase(0, static_cast<std::size_t>(sent));
    else
      failed_ = !later(sent);
  }
  void send_heartbeat() {
    to_send_ += masked_pong;
    on_writable();
  }
  // Reads what is there; returns how many bytes of live events it was.
  std::size_t on_readable(std::vector<char>& buffer) {
    std::size_t total = 0;
    for (;;) {
      const ssize_t size = ssl_ != nullptr ? SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()))
                                           : ::read(fd_, buffer.data(), buffer.size());
      if (size <= 0) {
        failed_ = !later(size);
        return total;
      }
      const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
      if (subscribed_)
        total += bytes.size();
      else
        greet(bytes);
      // OpenSSL may hold more than it gave, of which epoll knows nothing.
      if (ssl_ == nullptr) return total;
    }
  }

 private:
  void greet(std::string_view bytes) {
    seen_ += bytes;
    if (!message_.empty() && seen_.find("\"ready\"") != std::string::npos) {
      to_send_ += std::exchange(message_, {});
      on_writable();
    }
    if (seen_.find(R"("type":"error")") != std::string::npos) failed_ = true;
    subscribed_ = message_.empty() && seen_.find(last_) != std::string::npos;
    if (subscribed_) std::string().swap(seen_);
  }
  [[nodiscard]] bool later(ssize_t result) const {
    if (ssl_ == nullptr) return result < 0 && (errno == EAGAIN || errno == ENOTCONN);
    const int why = SSL_get_error(ssl_, static_cast<int>(result));
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
  }

  int fd_;
  SSL* ssl_ = nullptr;
  std::string_view last_;
  std::string to_send_;
  std::string message_;
  std::string seen_;
  bool subscribed_ = false;
  bool failed_ = false;
};

void watch(int epoll, int operation, const End& end, std::size_t number) {
  epoll_event event{};
  event.events = EPOLLIN | (end.wants_to_write() ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  event.data.u64 = number;
  epoll_ctl(epoll, operation, end.fd(), &event);
}

[[noreturn]] void run(int pipe, int reached, std::size_t count, const Subscribing& how, Tally& tally) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  run_on(1);
  if (how.yields) setpriority(PRIO_PROCESS, 0, 19);
  std::uint16_t port = 0;
  if (read(pipe, &port, sizeof port) != sizeof port) _exit(0);
  SSL_CTX* tls = how.tls ? SSL_CTX_new(TLS_client_method()) : nullptr;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<End> ends;
  ends.reserve(count);
  std::vector<char> buffer(1U << 20U);
  std::array<epoll_event, 256> events{};
  unsigned heartbeats = 0;
  for (std::size_t there = 0;;) {
    // So many on their way at once, as the backlog of the slowest of the servers takes.
    constexpr std::size_t at_once = 256;
    while (ends.size() < count && ends.size() - there < at_once) {
      const End& end = ends.emplace_back(port, tls, how, ends.size() % how.channels);
      watch(epoll, EPOLL_CTL_ADD, end, ends.size() - 1);
    }
    // Looks at its sockets a thousand times a second and never sleeps in epoll_wait(): a sender that has to wake a
    // process on the same machine pays for that, the more often the slower it sends, which real subscribers elsewhere
    // do not ask of it.
    const int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 0);
    if (ready <= 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::uint64_t got = 0;
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events.at(static_cast<std::size_t>(i));
      End& end = ends.at(event.data.u64);
      const bool was_subscribed = end.subscribed();
      const bool wanted_to_write = end.wants_to_write();
      if ((event.events & EPOLLOUT) != 0) end.on_writable();
      if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) got += end.on_readable(buffer);
      if (end.failed()) {
        tally.failed = true;
        _exit(1);
      }
      if (end.wants_to_write() != wanted_to_write) watch(epoll, EPOLL_CTL_MOD, end, event.data.u64);
      if (!was_subscribed && end.subscribed()) tally.subscribed = ++there;
    }
    tally.bytes += got;
    if (const std::uint64_t goal = tally.goal; goal != 0 && tally.bytes >= goal) {
      tally.reached = std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
      tally.goal = 0;
      eventfd_write(reached, 1);
    }
    if (std::exchange(heartbeats, tally.heartbeats) != heartbeats)
      for (End& end : ends) end.send_heartbeat();
  }
}

}  // namespace

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

Subscribing websocket(const std::string& path, const std::string& message, const std::string& extension) {
  std::string request = "GET " + path +
                        " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  if (!extension.empty()) request += "Sec-WebSocket-Extensions: " + extension + "\r\n";
  return {request + "\r\n", message,
          std::string(message.empty()     ? end_of_head
                      : extension.empty() ? subscribed
                                          : compressed_frame),
          1, false};
}

Subscribing event_stream(const std::string& path) {
  return {"GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n",
          "",
          std::string(snapshot),
          1,
          false,
          false};
}

std::string make_certificate(const std::string& directory) {
  std::string file = directory + "/certificate.pem";
  const std::string command =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
      "/CN=localhost -keyout '" +
      file + "' -out '" + file + ".crt' 2>/dev/null && cat '" + file + ".crt' >> '" + file + "'";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("openssl cannot make a certificate");
  return file;
}

void run_on(unsigned cpu) {
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus);
}

Clients::Clients(std::size_t count, const Subscribing& how) {
  void* shared = mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  reached_ = eventfd(0, EFD_CLOEXEC);
  std::array<int, 2> ends{};
  if (shared == MAP_FAILED || reached_ < 0 || pipe2(ends.data(), O_CLOEXEC) != 0)
    throw std::runtime_error("cannot set up the clients");
  tally_ = new (shared) Tally;
  child_ = fork();
  if (child_ == 0) {
    close(ends[1]);
    run(ends[0], reached_, count, how, *tally_);
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
  close(reached_);
  munmap(tally_, sizeof(Tally));
}

std::chrono::steady_clock::time_point Clients::wait_for(std::uint64_t bytes) {
  constexpr int patience = 60'000;
  tally_->goal = bytes;
  pollfd there{.fd = reached_, .events = POLLIN, .revents = 0};
  eventfd_t count = 0;
  if (poll(&there, 1, patience) != 1 || eventfd_read(reached_, &count) != 0)
    throw std::runtime_error("the subscribers did not get everything in 60 s");
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(tally_->reached));
}

void Clients::connect(std::uint16_t port) {
  if (write(pipe_, &port, sizeof port) != sizeof port) throw std::runtime_error("the clients are gone");
}

}  // namespace bench
