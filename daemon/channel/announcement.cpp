#include "channel/announcement.hpp"

#include <exception>
#include <utility>

#include "diff/projection.hpp"

namespace restream {

namespace {

std::array<Frames, forms> encode(const std::vector<Event>& events, const Audience& audience,
                                 const std::bitset<forms>& used, const std::stop_token& stop) {
  std::array<Frames, forms> frames;
  for (std::size_t form = 0; form < forms && !stop.stop_requested(); ++form)
    if (used.test(form)) frames.at(form) = frame_events(*audience.label, audience.epoch, events, form_at(form));
  return frames;
}

std::vector<Announcement::Filtered> filter(const EventBatch& batch, const Audience& audience,
                                           const std::stop_token& stop) {
  if (audience.filtered.empty()) return {};
  std::vector<std::vector<Event>> seen(audience.filtered.size());
  for (const Event& event : batch.events) {
    if (stop.stop_requested()) return {};
    const BothStates states(event.change);
    for (std::size_t i = 0; i < seen.size(); ++i)
      if (auto change = states.through(*audience.filtered[i].projection))
        seen[i].push_back({.offset = event.offset, .time = event.time, .change = std::move(*change)});
  }
  std::vector<Announcement::Filtered> filtered;
  filtered.reserve(seen.size());
  for (std::size_t i = 0; i < seen.size(); ++i)
    filtered.push_back({.filter = audience.filtered[i].number,
                        .told = seen[i].size(),
                        .frames = encode(seen[i], audience, audience.filtered[i].used, stop)});
  return filtered;
}

// Nanoseconds for each byte of the events, as measured on lists of 24,000 items of 1 KB.
constexpr std::size_t encoding = 2;
constexpr std::size_t compressing = 20;
constexpr std::size_t reading = 4;
constexpr std::size_t filtering = 1;

std::size_t cost_of(const std::bitset<forms>& used) {
  std::size_t cost = 0;
  for (std::size_t form = 0; form < forms; ++form)
    if (used.test(form)) cost += form_at(form).framing == Framing::websocket_deflate ? compressing : encoding;
  return cost;
}

}  // namespace

Announcement announcement_of(const EventBatch& batch, const Audience& audience, const std::stop_token& stop) {
  Announcement announcement{
      .channel = audience.channel, .after = batch.after, .last = batch.last(), .frames = {}, .filtered = {}};
  try {
    announcement.frames = encode(batch.events, audience, audience.plain, stop);
    announcement.filtered = filter(batch, audience, stop);
  } catch (const std::exception&) {
    announcement.frames = {};
    announcement.filtered.clear();
  }
  return announcement;
}

std::chrono::nanoseconds work_of(const EventBatch& batch, const Audience& audience) {
  std::size_t cost = cost_of(audience.plain);
  if (!audience.filtered.empty()) cost += reading;
  for (const Audience::Filtered& one : audience.filtered) cost += filtering + cost_of(one.used);
  std::size_t bytes = 0;
  for (const Event& event : batch.events) bytes += size_of(event.change);
  return std::chrono::nanoseconds(cost * bytes);
}

}  // namespace restream
