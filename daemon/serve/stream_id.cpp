#include "serve/stream_id.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "model/position.hpp"

namespace restream {

namespace {

constexpr std::string_view id_field = "id: ";

}  // namespace

StreamId::StreamId(std::vector<std::string> since) : positions_(std::move(since)) {
  // It goes back into the stream: only what is a position may.
  for (std::string& position : positions_)
    if (!parse_position(position)) position.clear();
}

Frames StreamId::rewrite(std::size_t place, std::string_view blocks) {
  std::string out;
  out.reserve(blocks.size() + 64 * positions_.size());
  while (!blocks.empty()) {
    if (blocks.starts_with(id_field)) {
      const std::size_t end = blocks.find('\n');
      positions_.at(place) = blocks.substr(id_field.size(), end - id_field.size());
      out.append(id_field).append(text()).append("\n");
      blocks.remove_prefix(end + 1);
    }
    // An empty line is nowhere but at the end of a block.
    const std::size_t end = std::min(blocks.find("\n\n"), blocks.size() - 2) + 2;
    out.append(blocks.substr(0, end));
    blocks.remove_prefix(end);
  }
  return std::make_shared<const std::string>(std::move(out));
}

std::string StreamId::text() const {
  std::string out;
  for (std::size_t i = 0; i < positions_.size(); ++i) out.append(i == 0 ? "" : ",").append(positions_[i]);
  return out;
}

std::vector<std::string> StreamId::parse(std::string_view text, std::size_t channels) {
  std::vector<std::string> positions(channels);
  for (std::size_t i = 0; i < channels; ++i) {
    const std::size_t comma = std::min(text.find(','), text.size());
    positions[i] = text.substr(0, comma);
    // As many as there are channels, neither more nor fewer.
    if ((comma == text.size()) != (i + 1 == channels)) return std::vector<std::string>(channels);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return positions;
}

}  // namespace restream
