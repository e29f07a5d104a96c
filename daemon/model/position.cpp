#include "model/position.hpp"

#include <array>
#include <charconv>
#include <cinttypes>
#include <cstdio>

namespace restream {

std::string to_text(Position position) {
  std::array<char, 64> text{};
  const int size = std::snprintf(text.data(), text.size(), "%016" PRIx64 ":%" PRIu64, position.epoch, position.offset);
  return {text.data(), static_cast<std::size_t>(size)};
}

std::optional<Position> parse_position(std::string_view text) {
  constexpr std::size_t epoch_digits = 16;
  if (text.size() < epoch_digits + 2 || text[epoch_digits] != ':') return std::nullopt;
  Position position;
  const char* end = text.data() + text.size();
  const char* colon = text.data() + epoch_digits;
  const auto epoch = std::from_chars(text.data(), colon, position.epoch, 16);
  if (epoch.ec != std::errc{} || epoch.ptr != colon) return std::nullopt;
  const auto offset = std::from_chars(colon + 1, end, position.offset, 10);
  if (offset.ec != std::errc{} || offset.ptr != end) return std::nullopt;
  // Leading zeros and upper-case digits parse, but are not ours.
  if (to_text(position) != text) return std::nullopt;
  return position;
}

}  // namespace restream
