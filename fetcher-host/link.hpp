// The host's end of the socketpair. receive() runs on: main; send() on: any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "wire/wire.hpp"

namespace restream::host {

class Link {
 public:
  explicit Link(int fd) : fd_(fd) {}

  // The first frame of all. Throws when it is another one, or none.
  wire::Start receive_start();

  // The next frame; nothing once the daemon has closed. Throws when the stream is damaged.
  std::optional<wire::Frame> receive();

  // Blocks while the daemon does not read. Ends the process when the daemon is gone.
  void send(std::uint64_t call, const wire::Message& message);

 private:
  int fd_;
  wire::Decoder decoder_;
  std::mutex writer_;  // frames go out one after the other
};

}  // namespace restream::host
