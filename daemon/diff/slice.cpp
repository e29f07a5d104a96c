// Cuts a poll's result into items, by the offsets that the parser's events give.
#include <charconv>

#include "diff/diff.hpp"
#include "diff/item_reader.hpp"
#include "diff/json_reader.hpp"
#include "model/text_hash.hpp"

namespace restream {

namespace {

class Slicer final : public JsonEvents {
 public:
  Slicer(std::string_view text, const std::string& id_field) : text_(text), id_(id_field) {}

  Sliced sliced;
  std::string problem;
  bool has_items = false;
  std::size_t total = 0;

  bool key(std::string& name) override {
    if (depth_ == 1) {
      member_ = name == "status_code" ? Member::status_code : name == "result" ? Member::result : Member::other;
    } else if (in_item()) {
      id_.key(name);
    }
    return true;
  }
  bool open(JsonKind kind, std::size_t begin) override {
    if (depth_ == 0 && kind != JsonKind::object) return refuse("it is not a JSON object");
    if (depth_ == 1) {
      if (member_ == Member::status_code) return refuse("'status_code' is not a number");
      if (member_ == Member::result) start_result(kind == JsonKind::array);
    } else if (depth_ == 2 && in_items_) {
      begin_ = begin;
      id_.start();
    }
    ++depth_;
    if (in_item()) id_.open(kind);
    return are_few_enough();
  }
  bool close(std::size_t end) override {
    if (in_item()) id_.close();
    --depth_;
    if (depth_ == 2 && in_items_) add_item(end);
    if (depth_ == 1) in_items_ = false;
    return true;
  }
  bool scalar(JsonKind kind, std::size_t begin, std::size_t end, std::string& decoded) override {
    if (depth_ == 0) return refuse("it is not a JSON object");
    if (in_item()) {
      id_.scalar(kind, text_.substr(begin, end - begin), decoded);
      return are_few_enough();
    }
    if (depth_ == 2 && in_items_) {
      ++total;
      ++sliced.skipped;
    } else if (depth_ == 1 && member_ == Member::status_code) {
      const auto [stop, error] = std::from_chars(text_.data() + begin, text_.data() + end, sliced.status_code);
      if (error != std::errc() || stop != text_.data() + end || sliced.status_code < 100 || sliced.status_code > 599)
        return refuse("'status_code' is not an HTTP status (100 to 599)");
    } else if (depth_ == 1 && member_ == Member::result) {
      start_result(false);
      if (kind == JsonKind::string) sliced.text = std::move(decoded);
    }
    return true;
  }

 private:
  enum class Member : std::uint8_t { other, status_code, result };

  [[nodiscard]] bool in_item() const { return in_items_ && depth_ >= 3; }
  bool refuse(std::string why) {
    problem = std::move(why);
    return false;
  }
  bool are_few_enough() {
    return !id_.has_too_many_values() || refuse("an item has more than " + std::to_string(max_item_values) + " values");
  }
  // `result` may come twice in the object, as any member may; the last one counts.
  void start_result(bool array) {
    sliced.items.clear();
    sliced.text.clear();
    sliced.skipped = sliced.repeated = total = 0;
    places_.clear();
    has_items = in_items_ = array;
  }
  void add_item(std::size_t end) {
    ++total;
    std::string id = id_.take();
    if (id.empty()) {
      ++sliced.skipped;
      return;
    }
    std::string json = one_line(text_.substr(begin_, end - begin_));
    const auto [place, fresh] = places_.try_emplace(id, sliced.items.size());
    if (fresh) {
      sliced.items.push_back(SlicedItem{
          .id = std::move(id), .json = std::move(json), .begin = begin_, .size = end - begin_, .seen = false});
    } else {
      ++sliced.repeated;
      sliced.items[place->second].json = std::move(json);
    }
  }

  std::string_view text_;
  IdFinder id_;
  TextMap<std::size_t> places_;
  std::size_t depth_ = 0;
  std::size_t begin_ = 0;  // of the item
  Member member_ = Member::other;
  bool in_items_ = false;
};

}  // namespace

std::expected<Sliced, SliceError> slice_result(std::string_view text, const DiffRules& rules) {
  Slicer slicer(text, rules.id_field);
  auto refused = [](const std::string& why) { return std::unexpected(SliceError{"the result is refused: " + why}); };
  if (const auto broken = read_json(text, slicer)) return refused(*broken);
  if (!slicer.problem.empty()) return refused(slicer.problem);
  Sliced& sliced = slicer.sliced;
  if (sliced.status_code == 0) return refused("it has no 'status_code'");
  if (sliced.status_code != 200) {
    sliced.items.clear();
    sliced.skipped = sliced.repeated = 0;
    return std::move(sliced);
  }
  if (!slicer.has_items) return refused("'status_code' is 200, but 'result' is not an array of items");
  if (sliced.skipped * 2 > slicer.total)
    return refused(std::to_string(sliced.skipped) + " of " + std::to_string(slicer.total) + " items have no '" +
                   rules.id_field + "' that is a string or a number");
  return std::move(sliced);
}

}  // namespace restream
