// What the events of a poll are to those who follow its channel: read once for all filters, encoded once for each form
// in use. Pure; any thread.
#pragma once

#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "channel/feed.hpp"
#include "model/event.hpp"

namespace restream {

class Projection;

// Those who follow a channel, by what they take of it.
struct Audience {
  ChannelNumber channel = 0;
  std::shared_ptr<const std::string> label;  // channel_label()
  std::uint64_t epoch = 0;
  std::bitset<forms> plain;  // the forms that somebody without a filter takes
  struct Filtered {
    FilterNumber number = 0;
    std::shared_ptr<const Projection> projection;
    std::bitset<forms> used;
  };
  std::vector<Filtered> filtered;  // by number
};

// When memory runs out it holds no frames at all, and followers read the log. Once it is told to stop, what comes of it
// is good for nothing.
Announcement announcement_of(const EventBatch& batch, const Audience& audience, const std::stop_token& stop = {});

// How long that takes, about.
std::chrono::nanoseconds work_of(const EventBatch& batch, const Audience& audience);

}  // namespace restream
