#include "diff/json_reader.hpp"

#include <iterator>
#include <nlohmann/json.hpp>

namespace restream {

namespace {

// Tells how far the parser has read. It copies its iterators, so the count lives outside of them.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at_ == b.at_; }
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) { return a.at_ != b.at_; }

 private:
  const char* at_;
  const char** reached_;
};

bool is_between_tokens(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == ':'; }

bool is_part_of_number(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

// nlohmann's SAX face on one side, ours on the other.
class Adapter {
 public:
  Adapter(std::string_view text, JsonEvents& events, std::size_t max_depth)
      : text_(text), events_(events), reached_(text.data()), max_depth_(max_depth) {
    if (text.starts_with("\xef\xbb\xbf")) end_ = 3;  // a byte order mark, which the parser skips
  }
  const char** reached() { return &reached_; }
  [[nodiscard]] const std::optional<std::string>& problem() const { return problem_; }

  bool null() { return literal(JsonKind::null, 4); }
  bool boolean(bool value) { return literal(JsonKind::boolean, value ? 4 : 5); }
  bool number_integer(std::int64_t /*value*/) { return number(); }
  bool number_unsigned(std::uint64_t /*value*/) { return number(); }
  bool number_float(double /*value*/, const std::string& /*text*/) { return number(); }
  bool string(std::string& value) {
    const std::size_t begin = next_begin();
    end_ = read_so_far();
    return events_.scalar(JsonKind::string, begin, end_, value);
  }
  bool binary(std::vector<std::uint8_t>& /*value*/) { return false; }  // never in text
  bool start_object(std::size_t /*size*/) { return open(JsonKind::object); }
  bool start_array(std::size_t /*size*/) { return open(JsonKind::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    end_ = read_so_far();
    return events_.key(name);
  }
  bool parse_error(std::size_t position, const std::string& /*token*/, const nlohmann::json::exception& error) {
    // The parser's own text quotes what it read; that may be a secret, and is often long.
    constexpr int number_overflow = 406;
    const std::string where = " at byte " + std::to_string(position);
    problem_ = error.id == number_overflow ? "a number is out of range" + where : "it is not valid JSON" + where;
    return false;
  }

 private:
  // For strings and brackets this is the end of the token; a number is only known to be over one byte later.
  [[nodiscard]] std::size_t read_so_far() const { return static_cast<std::size_t>(reached_ - text_.data()); }
  [[nodiscard]] std::size_t next_begin() const {
    std::size_t begin = end_;
    while (begin < text_.size() && is_between_tokens(text_[begin])) ++begin;
    return begin;
  }
  bool literal(JsonKind kind, std::size_t size) {
    const std::size_t begin = next_begin();
    end_ = begin + size;
    return events_.scalar(kind, begin, end_, nothing_);
  }
  bool number() {
    const std::size_t begin = next_begin();
    end_ = begin;
    while (end_ < text_.size() && is_part_of_number(text_[end_])) ++end_;
    return events_.scalar(JsonKind::number, begin, end_, nothing_);
  }
  bool open(JsonKind kind) {
    const std::size_t begin = next_begin();
    end_ = begin + 1;
    if (++depth_ > max_depth_) {
      problem_ =
          "it is nested deeper than " + std::to_string(max_depth_) + " levels at byte " + std::to_string(begin + 1);
      return false;
    }
    return events_.open(kind, begin);
  }
  bool close() {
    --depth_;
    end_ = read_so_far();
    return events_.close(end_);
  }

  std::string_view text_;
  JsonEvents& events_;
  const char* reached_;
  std::size_t max_depth_;
  std::size_t end_ = 0;  // of the token before
  std::size_t depth_ = 0;
  std::string nothing_;
  std::optional<std::string> problem_;
};

bool parse(std::string_view text, Adapter& adapter, bool to_the_end) {
  const CountingIterator first(text.data(), adapter.reached());
  const CountingIterator last(text.data() + text.size(), adapter.reached());
  return nlohmann::json::sax_parse(first, last, &adapter, nlohmann::json::input_format_t::json, to_the_end);
}

}  // namespace

std::optional<std::string> read_json(std::string_view text, JsonEvents& events, std::size_t max_depth) {
  // The parser takes a NUL for the end of the text and would never see what follows it.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    return "it is not valid JSON at byte " + std::to_string(nul + 1);
  Adapter adapter(text, events, max_depth);
  parse(text, adapter, true);
  return adapter.problem();
}

bool read_json_value(std::string_view text, JsonEvents& events, std::size_t max_depth) {
  Adapter adapter(text, events, max_depth);
  return parse(text, adapter, false);
}

}  // namespace restream
