// restream without plugins and HTTP, for the fan-out benchmark: results are handed to the hub as a plugin would have
// answered them, and go diff -> commit (SQLite, a real file) -> frames -> serve threads -> sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "channel/feed.hpp"

namespace bench {

struct BedOptions {
  restream::Framing over = restream::Framing::websocket;
  std::size_t channels = 1;  // `bench` alone, or bench?n=00000 and so on
  unsigned threads = 1;
  std::filesystem::path certificate;  // PEM, with its key; empty: plain
};

class Bed {
 public:
  Bed(const std::filesystem::path& directory, const BedOptions& options);
  ~Bed();
  Bed(const Bed&) = delete;
  Bed& operator=(const Bed&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // Commits the result in each channel and publishes it; comes back with the bytes that each subscriber is being sent,
  // which are the same but for the channel's name.
  restream::Frames publish(const std::string& result);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The params of a subscriber's channel, by its number.
std::string channel_number(std::size_t number);

}  // namespace bench
