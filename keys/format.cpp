#include "keys/format.hpp"

#include <charconv>
#include <optional>

#include "keys/base64.hpp"

namespace restream::keys {

namespace {

constexpr std::string_view kMagic = "restream-keystore/";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kTagSize = 16;

// A number with one way to write it.
template <typename Number>
bool read_number(std::string_view text, Number& out) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return false;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  return error == std::errc() && stop == end && text[0] != '-';
}

// Takes `text` apart line by line and word by word; every step says whether what it wanted was there.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool next_line() {
    const auto end = text_.find('\n', at_);
    if (end == std::string_view::npos) return false;
    line_ = text_.substr(at_, end - at_);
    at_ = end + 1;
    ++number_;
    return true;
  }
  bool word(std::string_view wanted) {
    const auto given = next_word();
    return given && *given == wanted;
  }
  template <std::size_t Size>
  bool bytes(std::array<std::uint8_t, Size>& out) {
    const auto given = next_word();
    return given && base64_decode(*given, out);
  }
  template <typename Number>
  bool number(Number& out) {
    const auto given = next_word();
    return given && read_number(*given, out);
  }
  [[nodiscard]] bool line_ended() const { return !line_; }
  [[nodiscard]] std::string_view line() const { return line_.value_or(std::string_view{}); }
  [[nodiscard]] std::size_t position() const { return at_; }
  [[nodiscard]] int line_number() const { return number_; }

 private:
  // Words are separated by exactly one space, so an extra space makes an empty word that nothing accepts.
  std::optional<std::string_view> next_word() {
    if (!line_) return std::nullopt;
    const auto space = line_->find(' ');
    const std::string_view word = line_->substr(0, space);
    if (space == std::string_view::npos) {
      line_.reset();
    } else {
      line_->remove_prefix(space + 1);
    }
    return word;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::optional<std::string_view> line_;
  int number_ = 0;
};

bool read_kek(Cursor& in, Kek& kek) {
  if (!in.word("kek")) return false;
  if (in.line().starts_with("raw ")) {
    RawKek raw;
    if (!in.word("raw") || !in.bytes(raw.key_id)) return false;
    kek = raw;
    return true;
  }
  ScryptKek scrypt;
  if (!in.word("scrypt") || !in.bytes(scrypt.salt) || !in.number(scrypt.log2_n)) return false;
  // The work is checked before anybody does it: a forged header must not make us fill the memory.
  if (scrypt.log2_n < kMinLog2N || scrypt.log2_n > kMaxLog2N) return false;
  kek = scrypt;
  return in.word("8") && in.word("1");
}

std::unexpected<FormatError> malformed(const Cursor& in, std::string_view wanted) {
  return std::unexpected(
      FormatError{false, "line " + std::to_string(in.line_number()) + " is not " + std::string(wanted)});
}

std::unexpected<FormatError> cut_off() { return std::unexpected(FormatError{false, "the header is cut off"}); }

// The first line, apart from the rest: another version may look like anything from there on.
std::optional<FormatError> check_version(std::string_view line) {
  if (!line.starts_with(kMagic)) return FormatError{false, "line 1 is not that of a keystore"};
  line.remove_prefix(kMagic.size());
  if (line == kVersion) return std::nullopt;
  unsigned version = 0;
  if (!read_number(line, version)) return FormatError{false, "line 1 names no version"};
  return FormatError{true, "version " + std::to_string(version)};
}

}  // namespace

std::string print_above_wrap(const Header& header) {
  std::string text(kMagic);
  text.append(kVersion).append("\nid ").append(base64(header.id));
  text.append("\ngen ").append(std::to_string(header.gen));
  if (const auto* raw = std::get_if<RawKek>(&header.kek)) {
    text.append("\nkek raw ").append(base64(raw->key_id));
  } else {
    const auto& scrypt = std::get<ScryptKek>(header.kek);
    text.append("\nkek scrypt ").append(base64(scrypt.salt));
    text.append(" ").append(std::to_string(scrypt.log2_n)).append(" 8 1");
  }
  return text.append("\n");
}

std::string print_header(const Header& header) {
  std::string text = print_above_wrap(header);
  text.append("wrap ").append(base64(header.wrap_nonce)).append(" ").append(base64(header.wrapped));
  text.append("\nbody ").append(base64(header.body_nonce));
  return text.append("\n---\n");
}

std::expected<ParsedFile, FormatError> parse_file(std::string_view file) {
  if (file.size() > kMaxFileSize) return std::unexpected(FormatError{false, "it is larger than 1 MiB"});
  ParsedFile parsed;
  Header& header = parsed.header;
  Cursor in(file);
  if (!in.next_line()) return cut_off();
  if (auto error = check_version(in.line())) return std::unexpected(std::move(*error));

  if (!in.next_line()) return cut_off();
  if (!in.word("id") || !in.bytes(header.id) || !in.line_ended()) return malformed(in, "`id` and 16 bytes in base64");

  if (!in.next_line()) return cut_off();
  if (!in.word("gen") || !in.number(header.gen) || !in.line_ended()) return malformed(in, "`gen` and a number");

  if (!in.next_line()) return cut_off();
  if (!read_kek(in, header.kek) || !in.line_ended()) return malformed(in, "a `kek` line of a known kind");
  parsed.above_wrap = file.substr(0, in.position());

  if (!in.next_line()) return cut_off();
  if (!in.word("wrap") || !in.bytes(header.wrap_nonce) || !in.bytes(header.wrapped) || !in.line_ended()) {
    return malformed(in, "`wrap`, 12 bytes and 48 bytes in base64");
  }
  if (!in.next_line()) return cut_off();
  if (!in.word("body") || !in.bytes(header.body_nonce) || !in.line_ended()) {
    return malformed(in, "`body` and 12 bytes in base64");
  }
  if (!in.next_line()) return cut_off();
  if (!in.word("---") || !in.line_ended()) return malformed(in, "`---`");

  parsed.whole_header = file.substr(0, in.position());
  parsed.body = file.substr(in.position());
  if (parsed.body.size() <= kTagSize || (parsed.body.size() - kTagSize) % kPadding != 0) {
    return std::unexpected(FormatError{false, "its body has a length that no keystore has"});
  }
  return parsed;
}

}  // namespace restream::keys
