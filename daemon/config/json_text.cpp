#include "config/json_text.hpp"

#include <nlohmann/json.hpp>

#include "config/scalar.hpp"

namespace restream {

namespace {

constexpr int max_depth = 32;
constexpr int max_values = 10'000;

std::string json_string(const Value& value, const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    value.refuse("is not valid UTF-8");
  }
}

struct Writer {
  int values = 0;

  // An alias may stand for its own ancestor or for ever more copies of the same: both end at a bound.
  std::string write(const Value& value, int depth) {
    if (depth > max_depth) value.refuse("is nested more than " + std::to_string(max_depth) + " levels deep");
    if (++values > max_values) value.refuse("holds more than " + std::to_string(max_values) + " values");
    const std::string& tag = value.node.Tag();
    const bool text = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!text && !tag.empty() && tag != "?") value.refuse("the tag '" + tag + "' is not supported");
    if (value.node.IsMap()) return write_members(value, depth);
    if (value.node.IsSequence()) return write_list(value, depth);
    if (value.node.IsNull()) return "null";
    const std::string& word = value.node.Scalar();
    if (text) return json_string(value, word);
    const Plain plain = read_plain(word);
    if (plain.kind == PlainKind::odd_number)
      value.refuse("'" + word + "' has no single meaning as a JSON number; put it in quotes to make it text");
    return plain.kind == PlainKind::text ? json_string(value, word) : plain.json;
  }

  std::string write_members(const Value& value, int depth) {
    std::string json = "{";
    const Mapping mapping(value);
    for (const auto& [key, member] : mapping.members())
      json += (json.size() > 1 ? "," : "") + json_string(member, key) + ":" + write(member, depth + 1);
    return json + "}";
  }

  std::string write_list(const Value& value, int depth) {
    std::string json = "[";
    for (const Value& one : value.list()) json += (json.size() > 1 ? "," : "") + write(one, depth + 1);
    return json + "]";
  }
};

}  // namespace

std::string json_object(const Value& value) {
  if (!value.node.IsMap()) value.expected("a mapping");
  return Writer().write(value, 1);
}

std::string param_text(const Value& value) {
  constexpr auto what = "text, a number, true or false";
  if (!value.node.IsScalar()) value.expected(what);
  const std::string json = Writer().write(value, 1);
  if (json == "null") value.expected(what);
  return json.starts_with('"') ? value.node.Scalar() : json;
}

}  // namespace restream
