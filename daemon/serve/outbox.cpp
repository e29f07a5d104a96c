#include "serve/outbox.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "serve/tls.hpp"

namespace restream {

namespace {

constexpr int send_flags = MSG_NOSIGNAL | MSG_DONTWAIT;
constexpr std::size_t buffers_per_call = 64;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

}  // namespace

void Outbox::send(const Frames& bytes, Kind kind, std::size_t from) {
  if (broken_ || !bytes || bytes->empty()) return;
  std::size_t sent = from;
  while (queued_ == 0 && sent < bytes->size()) {
    const ssize_t size = pass_on(bytes->data() + sent, bytes->size() - sent);
    if (size >= 0) {
      sent += static_cast<std::size_t>(size);
      sent_ += static_cast<std::size_t>(size);
    } else if (would_block(errno)) {
      break;
    } else if (errno != EINTR) {
      broken_ = true;
      return;
    }
  }
  const std::size_t rest = bytes->size() - sent;
  if (rest == 0) return;
  queue_.push_back({.bytes = bytes, .offset = sent, .kind = kind});
  queued_ += rest;
  if (kind == Kind::live) live_queued_ += rest;
}

ssize_t Outbox::pass_on(const char* data, std::size_t size) {
  return tls_ != nullptr ? tls_->send(data, size) : ::send(descriptor_, data, size, send_flags);
}

ssize_t Outbox::pass_on_queued() {
  if (tls_ != nullptr) {
    const Entry& entry = queue_[first_];
    return tls_->send(entry.bytes->data() + entry.offset, entry.bytes->size() - entry.offset);
  }
  std::array<iovec, buffers_per_call> parts{};
  const std::size_t count = std::min(parts.size(), queue_.size() - first_);
  for (std::size_t i = 0; i < count; ++i) {
    const Entry& entry = queue_[first_ + i];
    // sendmsg() does not write through iov_base; its type predates const.
    parts[i].iov_base = const_cast<char*>(entry.bytes->data() + entry.offset);
    parts[i].iov_len = entry.bytes->size() - entry.offset;
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  return ::sendmsg(descriptor_, &message, send_flags);
}

std::size_t Outbox::flush() {
  std::size_t total = 0;
  while (queued_ > 0 && !broken_) {
    const ssize_t size = pass_on_queued();
    if (size >= 0) {
      total += static_cast<std::size_t>(size);
      taken(static_cast<std::size_t>(size));
    } else if (would_block(errno)) {
      break;
    } else if (errno != EINTR) {
      broken_ = true;
    }
  }
  return total;
}

void Outbox::taken(std::size_t size) {
  sent_ += size;
  queued_ -= size;
  while (size > 0) {
    Entry& entry = queue_[first_];
    const std::size_t part = std::min(size, entry.bytes->size() - entry.offset);
    size -= part;
    entry.offset += part;
    if (entry.kind == Kind::live) live_queued_ -= part;
    if (entry.offset == entry.bytes->size()) {
      entry.bytes.reset();
      ++first_;
    }
  }
  if (first_ == queue_.size()) {
    // An idle connection holds no memory for its queue.
    std::vector<Entry>().swap(queue_);
    first_ = 0;
  } else if (first_ >= buffers_per_call) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void Outbox::drop() {
  std::vector<Entry>().swap(queue_);
  first_ = 0;
  queued_ = 0;
  live_queued_ = 0;
}

}  // namespace restream
