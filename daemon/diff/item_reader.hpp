// What reading one item needs, whether it comes alone or in a whole result.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diff/json_reader.hpp"

namespace restream {

// An item is one line: white space between tokens goes where it holds a line end. Inside strings there is none, JSON
// wants it escaped there.
std::string one_line(std::string_view json);

// What is done with an item takes some hundred bytes for each of its values, and more than the whole daemon has if a
// result is nothing but one list of digits.
constexpr std::size_t max_item_values = 1'000'000;

// Watches the values of one item go by and picks the id out of them.
class IdFinder {
 public:
  explicit IdFinder(const std::string& id_field);

  void start();
  void key(const std::string& name);
  void open(JsonKind kind);
  void close();
  void scalar(JsonKind kind, std::string_view raw, std::string& decoded);
  std::string take() { return std::move(id_); }
  // The item itself is one of them.
  [[nodiscard]] bool has_too_many_values() const { return values_ > max_item_values; }

 private:
  struct Frame {
    bool on_path = false;
    bool array = false;
    bool next = false;  // the member that comes is on the path
    std::size_t index = 0;
  };
  bool step();

  std::vector<std::string> path_;
  std::vector<Frame> frames_;
  std::string id_;
  std::size_t values_ = 0;
};

// One item that stands at the beginning of `text`; whatever comes behind it is not read.
struct ReadItem {
  std::string id;
  std::size_t size = 0;  // of its bytes
};

// Nothing when there is no object with an id, or it is no valid JSON: whoever reads the whole says what is wrong.
// `text` must hold no NUL.
std::optional<ReadItem> read_item(std::string_view text, IdFinder& finder);

}  // namespace restream
