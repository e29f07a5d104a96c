// Finds an array in JSON text without parsing what is in it, so that its bytes can be handed on as the API sent them.
// Pure. It only ever says yes when a parser would find the same array: whatever is unusual (a key with escapes, an
// index in the pointer, text that is not UTF-8, brackets that do not match) gives nothing, and the caller parses
// instead. What lies between the brackets is not checked further; the daemon checks every byte of a result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace restream::detail {

// More than any API needs, and few enough for a host thread's small stack: writing JSON recurses.
inline constexpr int max_nesting = 200;

// Where the string that begins at `begin` ends: at a quote with an even number of backslashes before it.
inline std::size_t end_of_string(std::string_view text, std::size_t begin) {
  for (std::size_t end = begin;;) {
    end = text.find('"', end + 1);
    if (end == std::string_view::npos) return text.size();
    std::size_t first = end;
    while (text[first - 1] == '\\') --first;
    if ((end - first) % 2 == 0) return end;
  }
}

// Whether arrays and objects in `text` are nested deeper than that.
inline bool is_too_deep(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      i = end_of_string(text, i);
    } else if (c == '[' || c == '{') {
      if (++depth > max_nesting) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

inline bool is_utf8(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    // Eight bytes of ASCII at once: most of what APIs send.
    if (std::uint64_t eight = 0; text.size() - i >= sizeof eight) {
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if ((eight & 0x8080808080808080U) == 0) {
        i += sizeof eight;
        continue;
      }
    }
    const unsigned char lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                               : (lead & 0xF0U) == 0xE0       ? 3
                               : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                              : 0;
    if (length == 0 || text.size() - i < length) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((byte(i + k) & 0xC0U) != 0x80) return false;
    const unsigned char second = byte(i + 1);
    const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
    const bool outside = (lead == 0xED && second > 0x9F) || (lead == 0xF4 && second > 0x8F);
    if (overlong || outside) return false;
    i += length;
  }
  return true;
}

// Walks over JSON text. Every function returns npos where the text is not what it expects.
class JsonWalk {
 public:
  static constexpr std::size_t npos = std::string_view::npos;
  explicit JsonWalk(std::string_view text) : text_(text) {}

  [[nodiscard]] std::size_t skip_space(std::size_t at) const {
    while (at < text_.size() && (text_[at] == ' ' || text_[at] == '\n' || text_[at] == '\r' || text_[at] == '\t')) ++at;
    return at;
  }

  // Past the value that begins at `at`, inside `depth` others: brackets of both kinds are counted, nothing more.
  [[nodiscard]] std::size_t skip_value(std::size_t at, int depth = 0) const {
    if (at >= text_.size()) return npos;
    if (text_[at] == '"') return past_string(at);
    if (text_[at] != '[' && text_[at] != '{') {
      const std::size_t end = text_.find_first_of(",]} \n\r\t", at);
      return end == at ? npos : end;
    }
    const int outside = depth;
    for (std::size_t i = at; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '"') {
        i = end_of_string(text_, i);
      } else if (c == '[' || c == '{') {
        if (++depth > max_nesting) return npos;
      } else if (c == ']' || c == '}') {
        if (--depth == outside) return i + 1;
      }
    }
    return npos;
  }

  // Past the object that begins at `at`; `found` is the text of its member `key`, empty without one. Of members with
  // one name the last one counts.
  [[nodiscard]] std::size_t walk_object(std::size_t at, std::string_view key, std::string_view& found) const {
    found = {};
    if (at >= text_.size() || text_[at] != '{') return npos;
    at = skip_space(at + 1);
    if (at < text_.size() && text_[at] == '}') return at + 1;
    for (;;) {
      if (at >= text_.size() || text_[at] != '"') return npos;
      const std::size_t end = past_string(at);
      if (end == npos) return npos;
      const std::string_view name = text_.substr(at + 1, end - at - 2);
      if (name.find('\\') != npos) return npos;
      at = skip_space(end);
      if (at >= text_.size() || text_[at] != ':') return npos;
      const std::size_t value = skip_space(at + 1);
      at = skip_value(value, 1);
      if (at == npos) return npos;
      if (name == key) found = text_.substr(value, at - value);
      at = skip_space(at);
      if (at >= text_.size()) return npos;
      if (text_[at] == '}') return at + 1;
      if (text_[at] != ',') return npos;
      at = skip_space(at + 1);
    }
  }

 private:
  [[nodiscard]] std::size_t past_string(std::size_t at) const {
    const std::size_t end = end_of_string(text_, at);
    return end == text_.size() ? npos : end + 1;
  }

  std::string_view text_;
};

// The text of the array at `pointer` (RFC 6901, names only), or nothing: then only a parser can tell. One pass for
// each name in the pointer.
inline std::optional<std::string_view> array_at(std::string_view text, std::string_view pointer) {
  if (pointer.find('~') != std::string_view::npos || !is_utf8(text)) return std::nullopt;
  // The text as a whole must be one value, so that an answer that was cut off is none.
  const JsonWalk whole(text);
  const std::size_t begin = whole.skip_space(0);
  std::string_view value = text.substr(begin);
  std::size_t end = JsonWalk::npos;
  if (pointer.empty()) {
    end = whole.skip_value(begin);
    value = text.substr(begin, end - begin);
  }
  for (bool first = true; !pointer.empty(); first = false) {
    if (pointer.front() != '/') return std::nullopt;
    pointer.remove_prefix(1);
    const std::string_view key = pointer.substr(0, pointer.find('/'));
    pointer.remove_prefix(key.size());
    std::string_view found;
    const std::size_t past = JsonWalk(value).walk_object(0, key, found);
    if (past == JsonWalk::npos) return std::nullopt;
    if (first) end = begin + past;
    value = found;
  }
  if (end == JsonWalk::npos || whole.skip_space(end) != text.size()) return std::nullopt;
  if (value.empty() || value.front() != '[') return std::nullopt;
  return value;
}

}  // namespace restream::detail
