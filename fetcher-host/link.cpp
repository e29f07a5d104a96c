#include "link.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

namespace restream::host {
namespace {

// The daemon is gone; or the plugin has closed what leads to it, and then people shall read why.
[[noreturn]] void end_unheard() {
  constexpr int software_fault = 70;
  if (errno == EPIPE || errno == ECONNRESET) _exit(0);
  std::fprintf(stderr, "the plugin has meddled with descriptor 3, which leads to the daemon: %s\n",
               std::generic_category().message(errno).c_str());
  std::fflush(stderr);
  _exit(software_fault);
}

}  // namespace

wire::Start Link::receive_start() {
  auto frame = receive();
  auto* start = frame ? std::get_if<wire::Start>(&frame->message) : nullptr;
  if (start == nullptr) throw std::runtime_error("the daemon did not say what to load");
  return std::move(*start);
}

std::optional<wire::Frame> Link::receive() {
  std::array<char, 65536> bytes;
  for (;;) {
    auto next = decoder_.next();
    if (!next) throw std::runtime_error("the daemon sent " + next.error());
    if (*next) return std::move(*next);
    const ssize_t size = recv(fd_, bytes.data(), bytes.size(), 0);
    if (size == 0 || (size < 0 && errno == ECONNRESET)) return std::nullopt;
    if (size > 0) decoder_.feed(std::string_view(bytes.data(), static_cast<std::size_t>(size)));
    if (size < 0 && errno != EINTR) end_unheard();
  }
}

void Link::send(std::uint64_t call, const wire::Message& message) {
  const std::string bytes = wire::encode(call, message);
  std::string_view rest = bytes;
  const std::scoped_lock lock(writer_);
  while (!rest.empty()) {
    const ssize_t size = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (size >= 0) rest.remove_prefix(static_cast<std::size_t>(size));
    if (size < 0 && errno != EINTR) end_unheard();
  }
}

}  // namespace restream::host
