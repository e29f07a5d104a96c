// Reading one YAML document by hand: each value knows its line and its full name, so that every refusal says where and
// what was expected. This room's own.
//
// Refusals travel as an exception inside this room (parse_config() catches it): the readers below stay one line per
// key.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/clock.hpp"

namespace restream {

struct Refusal {
  int line = 0;  // 0: the file as a whole
  std::string message;
};

// A value that is there and is not null.
struct Value {
  YAML::Node node;
  std::string name;  // "listen.port", "fetchers.nyt-top.pinned[0]"
  int line = 0;

  [[noreturn]] void refuse(const std::string& message) const;  // "NAME: MESSAGE"
  [[noreturn]] void expected(const std::string& what) const;   // "NAME must be WHAT, not FOUND"
  [[nodiscard]] std::string found() const;                     // "a list", "text", "the number 5"

  [[nodiscard]] std::uint64_t whole(std::uint64_t least, std::uint64_t most) const;
  [[nodiscard]] bool flag() const;
  // Quoted, or a word that YAML reads as nothing else; not empty; no control characters.
  [[nodiscard]] std::string text(const std::string& what = "text") const;
  [[nodiscard]] Millis duration(Millis least, Millis most) const;
  [[nodiscard]] Seconds seconds(Seconds least, Seconds most) const;  // whole ones
  [[nodiscard]] std::uint64_t size(std::uint64_t least, std::uint64_t most) const;
  [[nodiscard]] std::vector<Value> list() const;
};

// A mapping whose keys are text and differ from each other.
class Mapping {
 public:
  explicit Mapping(const Value& value);

  // Refuses all other keys, naming the nearest one of these.
  void allow_only(std::initializer_list<std::string_view> known) const;
  // Nothing when it is absent or null, which both mean the default.
  [[nodiscard]] std::optional<Value> find(std::string_view key) const;
  [[nodiscard]] Value required(std::string_view key) const;
  // All members, those that are null too.
  [[nodiscard]] const std::vector<std::pair<std::string, Value>>& members() const& { return members_; }
  void members() const&& = delete;  // a range-for over a temporary's members would outlive them

 private:
  Value self_;
  std::vector<std::pair<std::string, Value>> members_;
};

// The whole document; nothing for an empty one. Refuses what is not YAML, and a second document.
std::optional<Value> read_document(const std::string& yaml);

}  // namespace restream
