#include "fanout_clients.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
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
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

namespace bench {

namespace {

constexpr std::string_view end_of_head = "\r\n\r\n";
// In `subscribed`, after which nothing comes but live events where no snapshot is asked for; and in the snapshot of an
// event stream.
constexpr std::string_view subscribed = R"("resumed":)";
constexpr std::string_view compressed_frame = "\xc1";
constexpr std::string_view snapshot = R"("items":[)";

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

std::string for_channel(std::string text, std::size_t channel) {
  constexpr std::string_view place = "#####";
  const std::size_t at = text.find(place);
  if (at == std::string::npos) return text;
  const std::string digits = std::to_string(channel);
  return text.replace(at, place.size(), std::string(place.size() - digits.size(), '0') + digits);
}

// One subscriber's end: plain, or with TLS over it.
class End {
 public:
  // Connects; `ok()` tells whether it did.
  End(std::uint16_t port, SSL_CTX* tls) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr generic{};
    static_assert(sizeof generic == sizeof address);
    std::memcpy(&generic, &address, sizeof address);
    ok_ = fd_ >= 0 && ::connect(fd_, &generic, sizeof generic) == 0;
    if (!ok_ || tls == nullptr) return;
    ssl_ = SSL_new(tls);
    ok_ = SSL_set_fd(ssl_, fd_) == 1 && SSL_connect(ssl_) == 1;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] int fd() const { return fd_; }
  bool write(const std::string& text) const {
    if (text.empty()) return true;
    if (ssl_ != nullptr) return SSL_write(ssl_, text.data(), static_cast<int>(text.size())) > 0;
    return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) > 0;
  }
  // As read(2).
  ssize_t read(char* data, std::size_t size) const {
    if (ssl_ == nullptr) return ::read(fd_, data, size);
    const int got = SSL_read(ssl_, data, static_cast<int>(size));
    if (got > 0) return got;
    return SSL_get_error(ssl_, got) == SSL_ERROR_WANT_READ ? -1 : 0;
  }

 private:
  int fd_;
  SSL* ssl_ = nullptr;
  bool ok_ = false;
};

// Until live events come.
bool subscribe(const End& end, const Subscribing& how, std::size_t channel) {
  if (!end.ok() || !end.write(for_channel(how.request, channel))) return false;
  const std::string subscribe = how.message.empty() ? "" : client_frame(for_channel(how.message, channel));
  std::string seen;
  std::array<char, 4096> buffer{};
  bool asked = false;
  while (seen.find(how.last) == std::string::npos) {
    const ssize_t size = end.read(buffer.data(), buffer.size());
    if (size <= 0) return false;
    seen.append(buffer.data(), static_cast<std::size_t>(size));
    if (!asked && !subscribe.empty() && seen.find("\"ready\"") != std::string::npos) {
      asked = true;
      if (!end.write(subscribe)) return false;
    }
  }
  fcntl(end.fd(), F_SETFL, O_NONBLOCK);
  return true;
}

[[noreturn]] void run(int pipe, std::size_t count, const Subscribing& how, Tally& tally) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  run_on(1);
  std::uint16_t port = 0;
  if (read(pipe, &port, sizeof port) != sizeof port) _exit(0);
  SSL_CTX* tls = how.tls ? SSL_CTX_new(TLS_client_method()) : nullptr;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<End> ends;
  ends.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const End& end = ends.emplace_back(port, tls);
    if (!subscribe(end, how, i % how.channels)) {
      tally.failed = true;
      _exit(1);
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    epoll_ctl(epoll, EPOLL_CTL_ADD, end.fd(), &event);
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
      const End& end = ends.at(events.at(static_cast<std::size_t>(i)).data.u64);
      // OpenSSL may hold more than it gave, of which epoll knows nothing.
      for (;;) {
        const ssize_t size = end.read(buffer.data(), buffer.size());
        if (size == 0) _exit(0);
        if (size > 0) got += static_cast<std::uint64_t>(size);
        if (size < 0 || !how.tls) break;
      }
    }
    tally.bytes += got;
  }
}

}  // namespace

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
  return {"GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n", "",
          std::string(snapshot), 1, false};
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
  std::array<int, 2> ends{};
  if (shared == MAP_FAILED || pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot set up the clients");
  tally_ = new (shared) Tally;
  child_ = fork();
  if (child_ == 0) {
    close(ends[1]);
    run(ends[0], count, how, *tally_);
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
