#include "config/yaml_value.hpp"

#include <algorithm>

#include "config/scalar.hpp"

namespace restream {

namespace {

int line_of(const YAML::Node& node) { return node.Mark().line + 1; }

// Quoted, or made text by `!!str`.
bool is_quoted(const YAML::Node& node) { return node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str"; }

bool is_plain(const YAML::Node& node) { return node.Tag() == "?" || node.Tag().empty(); }

// "between 1s and 10m" for whatever two bounds are written as.
std::string between(const std::string& least, const std::string& most) { return "between " + least + " and " + most; }

}  // namespace

void Value::refuse(const std::string& message) const { throw Refusal{line, name + ": " + message}; }

void Value::expected(const std::string& what) const {
  throw Refusal{line, (name.empty() ? "the configuration" : name) + " must be " + what + ", not " + found()};
}

std::string Value::found() const {
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      return "null";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a mapping";
    case YAML::NodeType::Scalar:
      break;
  }
  const std::string& word = node.Scalar();
  const bool showable = word.size() <= 60 && std::ranges::none_of(word, [](char c) { return c >= 0 && c < ' '; });
  if (!showable) return "this text";
  return is_plain(node) ? word : "the text \"" + word + "\"";
}

std::uint64_t Value::whole(std::uint64_t least, std::uint64_t most) const {
  const std::string what = "a whole number " + between(std::to_string(least), std::to_string(most));
  if (!node.IsScalar() || !is_plain(node)) expected(what);
  const std::optional<std::uint64_t> number = parse_whole(node.Scalar());
  if (!number || *number < least || *number > most) expected(what);
  return *number;
}

bool Value::flag() const {
  if (!node.IsScalar() || !is_plain(node)) expected("true or false");
  const Plain plain = read_plain(node.Scalar());
  if (plain.kind != PlainKind::boolean) expected("true or false");
  return plain.json == "true";
}

std::string Value::text(const std::string& what) const {
  if (!node.IsScalar()) expected(what);
  if (!is_quoted(node) && (!is_plain(node) || read_plain(node.Scalar()).kind != PlainKind::text))
    expected(what + " (put it in quotes if that is meant)");
  const std::string& word = node.Scalar();
  if (word.empty()) expected(what);
  if (std::ranges::any_of(word, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }))
    refuse("holds a control character or a line end");
  return word;
}

Millis Value::duration(Millis least, Millis most) const {
  const std::string what = "a duration " + between(duration_text(least), duration_text(most)) +
                           " such as 90 (seconds), 500ms, 90s, 5m, 24h or 30d";
  if (!node.IsScalar()) expected(what);
  const std::optional<Millis> duration = parse_duration(node.Scalar());
  if (!duration || *duration < least || *duration > most) expected(what);
  return *duration;
}

Seconds Value::seconds(Seconds least, Seconds most) const {
  const Millis exact = duration(least, most);
  if (exact % Seconds{1} != Millis{0}) expected("a duration of whole seconds");
  return std::chrono::duration_cast<Seconds>(exact);
}

std::uint64_t Value::size(std::uint64_t least, std::uint64_t most) const {
  const std::string what =
      "a size " + between(size_text(least), size_text(most)) + " such as 65536 (bytes), 64KiB, 8MiB or 1GiB";
  if (!node.IsScalar()) expected(what);
  const std::optional<std::uint64_t> size = parse_size(node.Scalar());
  if (!size || *size < least || *size > most) expected(what);
  return *size;
}

std::vector<Value> Value::list() const {
  if (!node.IsSequence()) expected("a list");
  std::vector<Value> all;
  for (const YAML::Node& one : node)
    all.push_back({.node = one, .name = name + "[" + std::to_string(all.size()) + "]", .line = line_of(one)});
  return all;
}

Mapping::Mapping(const Value& value) : self_(value) {
  if (value.node.IsNull()) return;
  if (!value.node.IsMap()) value.expected("a mapping");
  std::set<std::string> seen;
  for (const auto& entry : value.node) {
    const YAML::Node& key = entry.first;
    const YAML::Node& member = entry.second;
    const Value place{.node = key, .name = value.name.empty() ? "the configuration" : value.name, .line = line_of(key)};
    if (!key.IsScalar()) place.refuse("a key must be a single word");
    const std::string& word = key.Scalar();
    if (word == "<<") place.refuse("merge keys ('<<') are not supported; write the members out");
    if (!seen.insert(word).second) place.refuse("'" + word + "' is given twice");
    const std::string name = value.name.empty() ? word : value.name + "." + word;
    // Nothing after the colon has no place of its own: yaml-cpp gives it that of the next thing in the file.
    const int line = member.IsNull() ? line_of(key) : std::max(line_of(key), line_of(member));
    members_.emplace_back(word, Value{.node = member, .name = name, .line = line});
  }
}

void Mapping::allow_only(std::initializer_list<std::string_view> known) const {
  for (const auto& [key, value] : members_) {
    if (std::ranges::find(known, key) != known.end()) continue;
    const std::string near = nearest(key, known.begin(), known.size());
    std::string message = "unknown key '" + key + "'";
    if (!self_.name.empty()) message += " in " + self_.name;
    if (!near.empty()) throw Refusal{value.line, message + "; did you mean '" + near + "'?"};
    message += "; known keys: ";
    for (const std::string_view& one : known) message += (&one == known.begin() ? "" : ", ") + std::string(one);
    throw Refusal{value.line, message};
  }
}

std::optional<Value> Mapping::find(std::string_view key) const {
  for (const auto& [name, value] : members_) {
    if (name != key) continue;
    const bool null = value.node.IsNull() || (value.node.IsScalar() && is_plain(value.node) &&
                                              read_plain(value.node.Scalar()).kind == PlainKind::null);
    return null ? std::nullopt : std::optional(value);
  }
  return std::nullopt;
}

Value Mapping::required(std::string_view key) const {
  std::optional<Value> value = find(key);
  if (!value) self_.refuse("needs '" + std::string(key) + "'");
  return *value;
}

std::optional<Value> read_document(const std::string& yaml) {
  if (yaml.find('\0') != std::string::npos) throw Refusal{0, "is not text: it holds a NUL byte"};
  std::vector<YAML::Node> documents;
  try {
    // yaml-cpp takes a quote that is never closed to be closed where the file ends with a line end, and so swallows the
    // rest of the configuration. A comment as the last thing makes it see the mistake.
    documents = YAML::LoadAll(yaml + (yaml.ends_with('\n') ? "#" : "\n#"));
  } catch (const YAML::Exception& error) {
    const auto line_ends = static_cast<int>(std::ranges::count(yaml, '\n'));
    const int last_line = line_ends + (yaml.ends_with('\n') ? 0 : 1);
    const int line = error.mark.is_null() ? 0 : std::min(error.mark.line + 1, last_line);
    const bool open = error.msg == "illegal EOF in scalar";
    throw Refusal{line, "is not valid YAML: " + (open ? "the file ends inside a quote" : error.msg)};
  }
  if (documents.size() > 1) throw Refusal{line_of(documents[1]), "a second document begins here; one is expected"};
  if (documents.empty() || documents.front().IsNull()) return std::nullopt;
  return Value{.node = documents.front(), .name = "", .line = line_of(documents.front())};
}

}  // namespace restream
