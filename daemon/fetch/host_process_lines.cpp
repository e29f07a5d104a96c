#include "fetch/host_process_lines.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "ops/utf8.hpp"

namespace restream {
namespace {

constexpr std::size_t most_bytes = 4096;

}  // namespace

std::string clean_line(std::string_view raw) {
  std::string line;
  line.reserve(std::min(raw.size(), most_bytes));
  while (!raw.empty()) {
    const std::size_t size = utf8_character_size(raw);
    const std::string_view character = raw.substr(0, std::max<std::size_t>(size, 1));
    const std::string_view clean = size == 0 ? "?" : is_control_character(character) ? " " : character;
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
  for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
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
