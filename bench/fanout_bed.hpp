// restream, ready for the fan-out benchmark's subscribers, in one of two ways.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "channel/frame.hpp"

namespace bench {

struct BedOptions {
  restream::Framing over = restream::Framing::websocket;
  std::size_t channels = 1;  // bench-list?name=00000, bench-list?name=00001 and so on
  unsigned threads = 1;
  std::filesystem::path certificate;  // PEM, with its key; empty: plain
};

// All functions are for the one thread that measures. It ends with the last copy of them.
struct Bed {
  std::uint16_t port = 0;
  // Returns once all that a poll is has been done, and the next can be.
  std::function<void()> settle;
  // Hands in the items of a poll, as a JSON array of `count`, for each channel; comes back with the bytes that each
  // subscriber is being sent, which are the same but for the channel's name.
  std::function<restream::Frames(const std::string& items, std::size_t count)> publish;
  std::function<double()> cpu_seconds;      // without the thread that measures
  std::function<double()> serving_seconds;  // of that, the serve threads
  std::function<double()> memory;           // written to, in bytes
  // The server's ends of the subscribers' connections, as descriptors of this process.
  std::function<std::vector<int>()> sockets;
};

// Without plugins and HTTP, in this process: results are handed to the hub as a plugin would have answered them, and go
// diff -> commit (SQLite, a real file) -> frames -> serve threads -> sockets.
Bed inner_bed(const std::filesystem::path& directory, const BedOptions& options);

// All of it: a restreamd that asks an API of this process by way of a plugin in its host, and is answered when there is
// something to publish. One channel, plain WebSockets.
Bed whole_bed(const std::filesystem::path& directory, const BedOptions& options);

// Of these descriptors those that are connected by way of the port.
std::vector<int> connected_to(std::uint16_t port, const std::vector<int>& descriptors);

}  // namespace bench
