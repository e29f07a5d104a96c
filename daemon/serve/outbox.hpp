// What still has to leave by one connection. Runs on: serve.
//
// Bytes go to the kernel at once, without blocking; only what it refuses is kept, as a share of the buffer that every
// other connection sends from too. Every buffer holds whole frames, and buffers leave in order: so data frames and the
// control frames of the WebSocket layer can share one socket.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "channel/frame.hpp"

namespace restream {

class TlsStream;

class Outbox {
 public:
  // Live events count against the connection's bound; answers, snapshots and history have bounds of their own.
  enum class Kind : std::uint8_t { other, live };

  // Does not own the descriptor.
  explicit Outbox(int descriptor) : descriptor_(descriptor) {}
  // Null: bytes go to the descriptor as they are. Not owned.
  void use(TlsStream* tls) { tls_ = tls; }

  void send(const Frames& bytes, Kind kind, std::size_t from = 0);
  // Sends what is queued, as far as the kernel takes it. Returns how many bytes that was.
  std::size_t flush();
  // Forgets what is queued; the peer is gone.
  void drop();

  [[nodiscard]] std::size_t queued() const { return queued_; }
  [[nodiscard]] std::size_t live_queued() const { return live_queued_; }
  // Taken by the kernel since the beginning.
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  // The kernel said that nothing can be sent any more.
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  struct Entry {
    Frames bytes;
    std::size_t offset = 0;
    Kind kind = Kind::other;
  };
  // As send(2).
  ssize_t pass_on(const char* data, std::size_t size);
  ssize_t pass_on_queued();
  void taken(std::size_t size);

  int descriptor_;
  TlsStream* tls_ = nullptr;
  std::vector<Entry> queue_;
  std::size_t first_ = 0;  // entries before this one are sent
  std::size_t queued_ = 0;
  std::size_t live_queued_ = 0;
  std::uint64_t sent_ = 0;
  bool broken_ = false;
};

}  // namespace restream
