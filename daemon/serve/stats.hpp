// What one serve thread counts. Written by its thread, read by any.
#pragma once

#include <array>
#include <cstdint>

#include "channel/frame.hpp"
#include "ops/metrics.hpp"

namespace restream {

// On a cache line of its own: another thread's counting must not slow this one's down.
struct alignas(64) ServeStats {
  Counter connections;                      // open now
  std::array<Counter, framings> followers;  // subscriptions now, by framing
  Counter deliveries;                       // events handed to a subscriber's socket or queue
  Counter sent_bytes;                       // taken by the kernel
  Counter queued_bytes;                     // waiting now
  Counter slow_disconnects;
  std::array<Counter, 5> responses;  // by status class, 1xx first
};

}  // namespace restream
