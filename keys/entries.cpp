#include "keys/entries.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "keys/utf8.hpp"

namespace restream::keys {

namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

void append_utf8(Secret& out, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) { out.push_back(static_cast<char>(static_cast<unsigned char>(value))); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0 | code >> 6);
    byte(0x80 | (code & 63));
  } else if (code < 0x10000) {
    byte(0xe0 | code >> 12);
    byte(0x80 | (code >> 6 & 63));
    byte(0x80 | (code & 63));
  } else {
    byte(0xf0 | code >> 18);
    byte(0x80 | (code >> 12 & 63));
    byte(0x80 | (code >> 6 & 63));
    byte(0x80 | (code & 63));
  }
}

// Reads an object of objects of strings. The shape is fixed, so nothing recurses. After the first problem every step
// fails.
class Reader {
 public:
  explicit Reader(std::string_view json) : json_(json) {}

  std::expected<Entries, JsonError> read() {
    Entries entries;
    const bool ok = members([&](std::string fetcher) {
      if (entries.contains(fetcher)) return fail("fetcher " + fetcher + " is there twice");
      FetcherKeys keys;
      if (!members([&](std::string name) { return read_value(fetcher, std::move(name), keys); })) return false;
      entries.emplace(std::move(fetcher), std::move(keys));
      return true;
    });
    std::erase_if(entries, [](const auto& entry) { return entry.second.empty(); });
    skip_space();
    if (ok && at_ != json_.size()) fail("there is something after the object");
    if (problem_) return std::unexpected(std::move(*problem_));
    return entries;
  }

 private:
  template <typename Member>
  bool members(Member member) {
    if (!take('{')) return fail("expected '{': the shape is {\"fetcher\": {\"key name\": \"value\"}}");
    if (take('}')) return true;
    do {
      std::optional<Secret> name = string();
      if (!name) return false;
      // Only a name that keeps the rule may be repeated in a message: it has no odd characters.
      if (!valid_name(name->view())) return fail("a name breaks the rule: " + std::string(kNameRule));
      if (!take(':')) return fail("expected ':'");
      if (!member(std::string(name->view()))) return false;
    } while (take(','));
    return take('}') || fail("expected ',' or '}'");
  }

  bool read_value(const std::string& fetcher, std::string name, FetcherKeys& keys) {
    const std::string label = fetcher + "/" + name;
    if (keys.contains(name)) return fail(label + " is there twice");
    skip_space();
    if (!at('"')) return fail("the value of " + label + " must be a string");
    std::optional<Secret> value = string();
    if (!value) return false;
    const std::string_view trouble = value_problem(value->view());
    if (!trouble.empty()) return fail("the value of " + label + " " + std::string(trouble));
    keys.emplace(std::move(name), std::move(*value));
    return true;
  }

  std::optional<Secret> string() {
    if (!take('"')) return fail_string("expected '\"'");
    Secret text;
    while (at_ < json_.size() && json_[at_] != '"') {
      if (static_cast<unsigned char>(json_[at_]) < 0x20) return fail_string("a control character inside a string");
      if (json_[at_] == '\\') {
        if (!escape(text)) return fail_string("a malformed escape inside a string");
        continue;
      }
      const std::size_t plain = std::min(json_.find_first_of("\"\\", at_), json_.size());
      const auto control = std::find_if(json_.begin() + offset(at_), json_.begin() + offset(plain),
                                        [](char c) { return static_cast<unsigned char>(c) < 0x20; });
      const auto stop = static_cast<std::size_t>(control - json_.begin());
      text.append(json_.substr(at_, stop - at_));
      at_ = stop;
    }
    if (at_ == json_.size()) return fail_string("a string does not end");
    ++at_;
    if (!is_utf8(text.view())) return fail_string("a string is not UTF-8");
    return text;
  }

  bool escape(Secret& text) {
    ++at_;  // the backslash
    if (at_ == json_.size()) return false;
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char letter = json_[at_++];
    if (letter != 'u') {
      const auto which = kLetters.find(letter);
      if (which == std::string_view::npos) return false;
      text.push_back(kMeanings[which]);
      return true;
    }
    auto code = hex4();
    if (!code) return false;
    if (*code >= 0xd800 && *code < 0xdc00) {  // the first half of a pair
      if (!json_.substr(at_).starts_with("\\u")) return false;
      at_ += 2;
      const auto low = hex4();
      if (!low || *low < 0xdc00 || *low > 0xdfff) return false;
      code = 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00);
    } else if (*code >= 0xdc00 && *code <= 0xdfff) {
      return false;
    }
    append_utf8(text, *code);
    return true;
  }

  std::optional<std::uint32_t> hex4() {
    if (json_.size() - at_ < 4) return std::nullopt;
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = json_[at_++];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return std::nullopt;
      code = code << 4 | static_cast<std::uint32_t>(digit);
    }
    return code;
  }

  static std::ptrdiff_t offset(std::size_t position) { return static_cast<std::ptrdiff_t>(position); }
  [[nodiscard]] bool at(char c) const { return at_ < json_.size() && json_[at_] == c; }
  void skip_space() {
    while (at(' ') || at('\n') || at('\r') || at('\t')) ++at_;
  }
  bool take(char c) {
    skip_space();
    if (!at(c)) return false;
    ++at_;
    return true;
  }

  bool fail(std::string message) {
    if (problem_) return false;
    const std::string_view before = json_.substr(0, at_);
    const auto line_start = before.rfind('\n');
    problem_ = JsonError{static_cast<std::size_t>(std::ranges::count(before, '\n')) + 1,
                         line_start == std::string_view::npos ? at_ + 1 : at_ - line_start, std::move(message)};
    return false;
  }
  std::nullopt_t fail_string(std::string message) {
    fail(std::move(message));
    return std::nullopt;
  }

  std::string_view json_;
  std::size_t at_ = 0;
  std::optional<JsonError> problem_;
};

}  // namespace

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' && name[0] != '-' &&
         std::ranges::all_of(name, is_name_char);
}

std::string_view value_problem(std::string_view value) {
  if (value.empty()) return "is empty";
  if (value.size() > kMaxValueSize) return "is longer than 64 KiB";
  if (value.find('\0') != std::string_view::npos) return "holds a NUL byte";
  if (!is_utf8(value)) return "is not UTF-8 text";
  return {};
}

std::size_t count_keys(const Entries& entries) {
  std::size_t count = 0;
  for (const auto& [fetcher, keys] : entries) count += keys.size();
  return count;
}

bool same_entries(const Entries& a, const Entries& b) { return print_entries(a).same_as(print_entries(b)); }

void append_json_string(Secret& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  constexpr std::string_view kMeanings = "\"\\\b\f\n\r\t";
  constexpr std::string_view kLetters = "\"\\bfnrt";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (const auto which = kMeanings.find(c); which != std::string_view::npos) {
      out.push_back('\\');
      out.push_back(kLetters[which]);
    } else if (byte < 0x20) {
      out.append("\\u00");
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

Secret print_entries(const Entries& entries) {
  Secret json;
  json.push_back('{');
  for (const auto& [fetcher, keys] : entries) {
    if (json.size() > 1) json.push_back(',');
    append_json_string(json, fetcher);
    json.append(":{");
    bool first = true;
    for (const auto& [name, value] : keys) {
      if (!std::exchange(first, false)) json.push_back(',');
      append_json_string(json, name);
      json.push_back(':');
      append_json_string(json, value.view());
    }
    json.push_back('}');
  }
  json.push_back('}');
  return json;
}

std::expected<Entries, JsonError> parse_entries(std::string_view json) { return Reader(json).read(); }

}  // namespace restream::keys
