#include "serve/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace restream {

namespace {

using asio::ip::tcp;

constexpr int backlog = 4096;
constexpr int accepts_per_turn = 16;  // then other work of the thread gets its turn
constexpr int shed_per_turn = 64;
constexpr Millis wait_for_descriptors{200};
// What the kernel keeps for a reader that does not read; the rest is in the outbox, where it is counted.
constexpr int unsent_in_kernel = 256 << 10;

int open_spare() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

std::string address_text(const tcp::endpoint& peer) {
  const asio::ip::address address = peer.address();
  // An IPv4 client of an IPv6 socket is the same client.
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  return address.to_string();
}

}  // namespace

Listener::Listener(std::vector<Loop*> loops)
    : loops_(std::move(loops)),
      acceptor_(loops_.front()->io().get_executor()),
      timer_(loops_.front()->io().get_executor()) {
  const ServerOptions& options = loops_.front()->options();
  limits_ = std::make_shared<ConnectionLimits>(options.connections, options.connections_per_address);
}

Listener::~Listener() { close(); }

std::expected<void, std::string> Listener::open(const ServerOptions& options) {
  const std::string where = options.address + " port " + std::to_string(options.port);
  ErrorCode error;
  const asio::ip::address address = asio::ip::make_address(options.address, error);
  if (error)
    return std::unexpected("cannot listen on '" + options.address +
                           "': it is not an IP address; set listen.address to one, such as 127.0.0.1 or ::");
  const tcp::endpoint endpoint(address, options.port);
  const auto failed = [&](std::string_view hint) {
    return std::unexpected("cannot listen on " + where + ": " + error.message() + std::string(hint));
  };
  acceptor_.open(endpoint.protocol(), error);
  if (error) return failed("");
  acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error && address.is_v6()) acceptor_.set_option(asio::ip::v6_only(false), error);
  if (!error) acceptor_.non_blocking(true, error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(backlog, error);
  if (error == asio::error::address_in_use) return failed("; another program has it: end that, or set listen.port");
  if (error) return failed("; check listen.address and listen.port");
  return opened();
}

std::expected<void, std::string> Listener::adopt(int listening) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  ErrorCode error;
  if (::getsockname(listening, reinterpret_cast<sockaddr*>(&name), &size) != 0)
    return std::unexpected("cannot take the socket that was handed over: " + std::string(std::strerror(errno)));
  acceptor_.assign(name.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), listening, error);
  if (!error) acceptor_.non_blocking(true, error);
  if (error) return std::unexpected("cannot take the socket that was handed over: " + error.message());
  return opened();
}

std::expected<void, std::string> Listener::opened() {
  ErrorCode error;
  const tcp::endpoint here = acceptor_.local_endpoint(error);
  if (error) return std::unexpected("cannot tell where it listens: " + error.message());
  address_ = here.address().to_string();
  port_ = here.port();
  v6_ = here.address().is_v6();
  spare_ = open_spare();
  return {};
}

void Listener::start() { wait(); }

void Listener::close() {
  ErrorCode ignored;
  acceptor_.close(ignored);
  timer_.cancel();
  if (spare_ >= 0) ::close(std::exchange(spare_, -1));
}

void Listener::wait() {
  acceptor_.async_wait(tcp::acceptor::wait_read, [this](const ErrorCode& error) {
    if (!error) accept_all();
  });
}

void Listener::accept_all() {
  for (int i = 0; i < accepts_per_turn; ++i) {
    tcp::endpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    const int descriptor = ::accept4(acceptor_.native_handle(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      peer.resize(size);
      accepted(descriptor, address_text(peer));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return out_of_descriptors(errno);
    }
    // Anything else is the fault of that one connection, which is gone already.
  }
  wait();
}

void Listener::accepted(int descriptor, std::string address) {
  if (std::exchange(exhausted_, false)) loops_.front()->log().info("accepting connections again");
  ConnectionSlot slot = ConnectionLimits::take(limits_, address, loops_.front()->proxies().trusts(address));
  if (slot.kind() == ConnectionSlot::Kind::none) {
    ::close(descriptor);
    return;
  }
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_in_kernel, sizeof unsent_in_kernel);
  Loop& loop = *loops_[turn_++ % loops_.size()];
  Socket socket(loop.io().get_executor());
  ErrorCode error;
  socket.assign(v6_ ? tcp::v6() : tcp::v4(), descriptor, error);
  if (error) {
    ::close(descriptor);
    return;
  }
  loop.post([&loop, socket = std::move(socket), address = std::move(address), slot = std::move(slot)]() mutable {
    loop.adopt(std::move(socket), std::move(address), std::move(slot));
  });
}

// Clients that come now are hung up on rather than left hanging, with the help of the spare descriptor. Then we wait:
// a listening socket that is always ready would keep this thread busy for nothing.
void Listener::out_of_descriptors(int error) {
  if (!std::exchange(exhausted_, true))
    loops_.front()->log().warning("cannot accept connections for now",
                                  {{"reason", std::strerror(error)}, {"hint", "raise the limit of open files"}});
  for (int i = 0; i < shed_per_turn && spare_ >= 0; ++i) {
    ::close(std::exchange(spare_, -1));
    const int descriptor = ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor >= 0) ::close(descriptor);
    spare_ = open_spare();
    if (descriptor < 0) break;
  }
  if (spare_ < 0) spare_ = open_spare();
  timer_.expires_after(wait_for_descriptors);
  timer_.async_wait([this](const ErrorCode& cancelled) {
    if (cancelled) return;
    if (spare_ < 0) spare_ = open_spare();
    accept_all();
  });
}

}  // namespace restream
