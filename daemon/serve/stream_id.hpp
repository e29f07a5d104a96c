// The ids of a stream of several channels (GET /events). A reader sends back only the last id it saw, so each has to
// hold the positions in all channels: it is a list of them, in the order of the request, with nothing for a channel
// whose snapshot has not been sent yet. Since positions of different logs never agree, an id that comes back with
// another list of channels is of no use, and of no harm. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "channel/frame.hpp"

namespace restream {

class StreamId {
 public:
  // `since`: what each channel is to be resumed from, empty where there is nothing. It stays in the ids until the
  // channel has a position or is forgotten: so a channel that is attached late, or refused for a moment, loses nothing.
  explicit StreamId(std::vector<std::string> since);
  // The channel goes on from a snapshot that has not been sent yet.
  void forget(std::size_t place) { positions_.at(place).clear(); }

  // Takes the position in the channel `place` from the id of each block, and puts the id of the whole in its stead.
  // Blocks without an id stay as they are.
  Frames rewrite(std::size_t place, std::string_view blocks);

  [[nodiscard]] std::string text() const;

  // What to resume each channel from: as many texts as there are channels, empty where there is nothing.
  static std::vector<std::string> parse(std::string_view text, std::size_t channels);

 private:
  std::vector<std::string> positions_;
};

}  // namespace restream
