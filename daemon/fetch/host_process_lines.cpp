#include "fetch/host_process_lines.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace restream {
namespace {

constexpr std::size_t most_bytes = 4096;

unsigned byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

// How long the well-formed UTF-8 character at the start of `text` is; 0 when there is none.
std::size_t character_size(std::string_view text) {
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xC2 && first <= 0xDF   ? 2
                           : (first & 0xF0U) == 0xE0        ? 3
                           : first >= 0xF0 && first <= 0xF4 ? 4
                                                            : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte_at(text, i) & 0xC0U) != 0x80) return 0;
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  const unsigned second = byte_at(text, 1);
  const bool outside = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                       (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return outside ? 0 : size;
}

// C0, DEL, and C1 (two bytes in UTF-8), which terminals obey too.
bool is_control(std::string_view character) {
  const unsigned first = byte_at(character, 0);
  return first < 0x20 || first == 0x7F || (first == 0xC2 && character.size() == 2 && byte_at(character, 1) < 0xA0);
}

}  // namespace

std::string clean_line(std::string_view raw) {
  std::string line;
  line.reserve(std::min(raw.size(), most_bytes));
  while (!raw.empty()) {
    const std::size_t size = character_size(raw);
    const std::string_view character = raw.substr(0, std::max<std::size_t>(size, 1));
    const std::string_view clean = size == 0 ? "?" : is_control(character) ? " " : character;
    if (line.size() + clean.size() > most_bytes) break;
    line += clean;
    raw.remove_prefix(character.size());
  }
  return line;
}

void LineSplitter::keep(std::string_view part) {
  if (line_.size() < most_bytes) line_ += part.substr(0, most_bytes - line_.size());
}

std::vector<std::string> LineSplitter::feed(std::string_view bytes) {
  std::vector<std::string> lines;
  for (auto end = bytes.find('\n'); end != bytes.npos; end = bytes.find('\n')) {
    keep(bytes.substr(0, end));
    if (auto line = rest(); !line.empty()) lines.push_back(std::move(line));
    bytes.remove_prefix(end + 1);
  }
  keep(bytes);
  return lines;
}

std::string LineSplitter::rest() {
  if (line_.ends_with('\r')) line_.pop_back();
  return std::exchange(line_, {});
}

}  // namespace restream
