#include "serve/delivery.hpp"

#include <charconv>

namespace restream {

std::optional<Seconds> parse_interval(std::string_view text) {
  constexpr Seconds::rep most = Seconds(std::chrono::hours(24)).count();
  Seconds::rep count = 0;
  const char* const end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || text.front() == '-' || count > most || end - unit > 1) return std::nullopt;
  const char letter = unit == end ? 's' : *unit;
  if (letter == 'm') count *= 60;
  if (letter == 'h') count *= 3600;
  if ((letter != 's' && letter != 'm' && letter != 'h') || count < 1 || count > most) return std::nullopt;
  return Seconds(count);
}

}  // namespace restream
