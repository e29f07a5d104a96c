#include "serve/message.hpp"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

namespace restream {

namespace {

using nlohmann::json;

constexpr int depth_limit = 16;
constexpr std::size_t most_pointers = 32;
constexpr std::size_t most_conditions = 16;
constexpr std::size_t longest_text = 256;  // of a pointer, or of a value to compare with
constexpr std::string_view known_fields =
    "action, channel, params, since, snapshot, deliver, conflate, interval, select, where";
constexpr std::string_view select_form = R"(an array of JSON pointers, such as ["/title", "/author/name"])";
constexpr std::string_view where_form =
    R"(an object of JSON pointers and what is to be there, such as {"/section": "world"})";

MessageError bad_request(std::string message) { return {.code = "bad_request", .message = std::move(message)}; }

// Names can be long and come from anybody.
std::string in_quotes(std::string_view name) { return '\'' + std::string(name.substr(0, 64)) + '\''; }

bool is_pointer(std::string_view text) {
  if (!text.starts_with('/') || text.size() > longest_text) return false;
  for (std::size_t at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1))
    if (at + 1 == text.size() || (text[at + 1] != '0' && text[at + 1] != '1')) return false;
  return true;
}

// Reads the message in one pass, without building a tree: so a number is seen as it was sent, and nesting costs
// nothing. Goes on after the first problem, since an unknown action explains more than a field that it brings along.
class Reader {
 public:
  using number_integer_t = json::number_integer_t;
  using number_unsigned_t = json::number_unsigned_t;
  using number_float_t = json::number_float_t;
  using string_t = json::string_t;
  using binary_t = json::binary_t;

  // The parser's calls.
  bool null() { return inside(Inside::where) ? condition("null") : value("null"); }
  bool boolean(bool flag) {
    if (in_message() && (field_ == "snapshot" || field_ == "conflate")) {
      (field_ == "snapshot" ? message.delivery.snapshot : message.delivery.conflate) = flag;
      return true;
    }
    return scalar(flag ? "true" : "false", "a boolean");
  }
  // Reads the value of one field instead of a message.
  void begin_in(std::string_view field) {
    depth_ = 1;
    field_ = field;
  }
  bool number_integer(number_integer_t number) { return scalar(std::to_string(number), "a number"); }
  bool number_unsigned(number_unsigned_t number) { return scalar(std::to_string(number), "a number"); }
  bool number_float(number_float_t, const string_t& text) { return scalar(text, "a number"); }
  bool string(string_t& text);
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t);
  bool key(string_t& name);
  bool end_object() { return leave(); }
  bool start_array(std::size_t);
  bool end_array() { return leave(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
    broken_at(position);
    return false;
  }
  void broken_at(std::size_t position) {
    fatal = bad_request("not JSON: unexpected input at byte " + std::to_string(position) + " of the message");
  }

  ClientMessage message;
  Filter filter;
  std::optional<std::string> action;
  std::optional<MessageError> fatal;
  std::optional<MessageError> problem;  // the first
  bool has_channel = false;

 private:
  [[nodiscard]] bool in_message() const { return depth_ == 1; }
  // In which of the message's fields that hold more than one value.
  enum class Inside : std::uint8_t { nothing, params, select, where };
  [[nodiscard]] bool inside(Inside where) const { return depth_ == 2 && inside_ == where; }
  [[nodiscard]] bool in_params() const { return inside(Inside::params); }
  [[nodiscard]] std::string_view expected() const;
  void complain(MessageError error) {
    if (!problem) problem = std::move(error);
  }
  bool scalar(std::string text, std::string_view what);
  bool value(std::string_view what);
  bool enter(std::string_view what);
  bool leave() {
    --depth_;
    if (depth_ == 1) inside_ = Inside::nothing;
    return true;
  }
  bool enter_field(Inside field) {
    inside_ = field;
    ++depth_;
    return true;
  }
  bool pointer(std::string text);
  bool condition(std::string value_text);
  void deliver(const std::string& text);
  void interval(const std::string& text);

  int depth_ = 0;
  Inside inside_ = Inside::nothing;
  std::string field_;  // of the message
  std::string name_;   // of the param or the condition
  std::vector<std::string> seen_;
};

bool Reader::string(string_t& text) {
  if (in_params()) return scalar(text, "a string");
  if (inside(Inside::select)) return pointer(text);
  if (inside(Inside::where)) return condition(json_string(text));
  if (!in_message()) return value("a string");
  if (field_ == "action") {
    action = text;
  } else if (field_ == "channel") {
    message.channel = text;
    has_channel = true;
  } else if (field_ == "since") {
    message.since = text;
  } else if (field_ == "deliver") {
    deliver(text);
  } else if (field_ == "interval") {
    interval(text);
  } else {
    return value("a string");
  }
  return true;
}

void Reader::deliver(const std::string& text) {
  if (text == "both")
    message.delivery.deliver = Deliver::both;
  else if (text == "item")
    message.delivery.deliver = Deliver::item;
  else if (text == "patch")
    message.delivery.deliver = Deliver::patch;
  else
    complain(bad_request("field 'deliver' must be \"both\", \"item\" or \"patch\""));
}

void Reader::interval(const std::string& text) {
  if (const auto parsed = parse_interval(text))
    message.delivery.interval = *parsed;
  else
    complain(bad_request("field 'interval' must be " + std::string(interval_form)));
}

bool Reader::pointer(std::string text) {
  if (!is_pointer(text))
    complain(bad_request("field 'select': " + in_quotes(text) +
                         " is not a JSON pointer of at most 256 bytes; one begins with '/', and has ~0 for '~' and ~1 "
                         "for '/' in a name"));
  else if (filter.select->size() >= most_pointers)
    complain(bad_request("field 'select' may have " + std::to_string(most_pointers) + " pointers at most"));
  else
    filter.select->push_back(std::move(text));
  return true;
}

bool Reader::condition(std::string value_text) {
  const auto same = [this](const Filter::Condition& one) { return one.pointer == name_; };
  if (!is_pointer(name_))
    complain(bad_request("field 'where': " + in_quotes(name_) +
                         " is not a JSON pointer of at most 256 bytes; one begins with '/', and has ~0 for '~' and ~1 "
                         "for '/' in a name"));
  else if (value_text.size() > longest_text)
    complain(bad_request("field 'where': the value of " + in_quotes(name_) + " is longer than 256 bytes"));
  else if (std::ranges::any_of(filter.where, same))
    complain(bad_request("field 'where' has " + in_quotes(name_) + " twice"));
  else if (filter.where.size() >= most_conditions)
    complain(bad_request("field 'where' may have " + std::to_string(most_conditions) + " conditions at most"));
  else
    filter.where.push_back({.pointer = name_, .value = std::move(value_text)});
  return true;
}

bool Reader::scalar(std::string text, std::string_view what) {
  if (inside(Inside::where)) return condition(std::move(text));
  if (!in_params()) return value(what);
  message.params.emplace_back(name_, std::move(text));
  return true;
}

std::string_view Reader::expected() const {
  if (field_ == "params") return "an object";
  if (field_ == "select") return select_form;
  if (field_ == "where") return where_form;
  return field_ == "snapshot" || field_ == "conflate" ? "a boolean" : "a string";
}

// A value that may not stand where it stands.
bool Reader::value(std::string_view what) {
  if (depth_ == 0) {
    fatal = bad_request("the message must be a JSON object, not " + std::string(what));
    return false;
  }
  if (in_params()) {
    complain({.code = "invalid_params",
              .message =
                  "param " + in_quotes(name_) + " must be a string, a number or a boolean, not " + std::string(what)});
  } else if (inside(Inside::where)) {
    complain(bad_request("field 'where': what is to be at " + in_quotes(name_) +
                         " must be a string, a number, a boolean or null, not " + std::string(what)));
  } else if (in_message() || inside(Inside::select)) {
    complain(bad_request("field " + in_quotes(field_) + " must be " + std::string(expected()) + ", not " +
                         (in_message() ? "" : "one of ") + std::string(what)));
  }
  return true;
}

bool Reader::enter(std::string_view what) {
  if (depth_ > 0 || what != "an object") {
    if (!value(what)) return false;
  }
  if (++depth_ <= depth_limit) return true;
  fatal = bad_request("the message is nested too deeply");
  return false;
}

bool Reader::start_object(std::size_t) {
  if (in_message() && field_ == "params") return enter_field(Inside::params);
  if (in_message() && field_ == "where") return enter_field(Inside::where);
  return enter("an object");
}

bool Reader::start_array(std::size_t) {
  if (!in_message() || field_ != "select") return enter("an array");
  filter.select.emplace();
  return enter_field(Inside::select);
}

bool Reader::key(string_t& name) {
  if (depth_ == 2) name_ = name;
  if (!in_message()) return true;
  field_ = name;
  static constexpr std::string_view fields[] = {"action",  "channel",  "params",   "since",  "snapshot",
                                                "deliver", "conflate", "interval", "select", "where"};
  if (std::ranges::find(fields, name) == std::end(fields))
    complain(bad_request("unknown field " + in_quotes(name) + "; known fields: " + std::string(known_fields)));
  else if (std::ranges::find(seen_, name) != seen_.end())
    complain(bad_request("field " + in_quotes(name) + " is given twice"));
  else
    seen_.push_back(name);
  return true;
}

void read(std::string_view text, Reader& reader) {
  // The parser takes a NUL for the end of the text and would never see what follows it.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) return reader.broken_at(nul + 1);
  json::sax_parse(text.begin(), text.end(), &reader);
}

}  // namespace

std::expected<ClientMessage, MessageError> parse_message(std::string_view text) {
  Reader reader;
  read(text, reader);
  if (reader.fatal) return std::unexpected(std::move(*reader.fatal));

  using Action = ClientMessage::Action;
  if (reader.action == "subscribe") {
    reader.message.action = Action::subscribe;
  } else if (reader.action == "unsubscribe") {
    reader.message.action = Action::unsubscribe;
  } else if (reader.action == "unsubscribe_all" || reader.action == "unsubscribe-all") {
    reader.message.action = Action::unsubscribe_all;
  } else if (reader.action) {
    return std::unexpected(MessageError{.code = "unknown_action",
                                        .message = "unknown action " + in_quotes(*reader.action) +
                                                   "; known actions: subscribe, unsubscribe, unsubscribe_all"});
  }
  if (reader.problem) return std::unexpected(std::move(*reader.problem));
  if (!reader.action) return std::unexpected(bad_request("field 'action' is missing"));
  if (reader.message.action == Action::unsubscribe_all)
    reader.message.channel.clear();
  else if (!reader.has_channel || reader.message.channel.empty())
    return std::unexpected(bad_request(reader.has_channel ? "field 'channel' is empty" : "field 'channel' is missing"));
  if (!reader.message.delivery.sound()) return std::unexpected(bad_request(std::string(unsound_delivery)));
  if (!reader.filter.empty()) reader.message.delivery.filter = std::make_shared<const Filter>(std::move(reader.filter));
  return std::move(reader.message);
}

std::optional<MessageError> parse_filter_field(std::string_view field, std::string_view text, Filter& into) {
  Reader reader;
  reader.filter = std::move(into);
  reader.begin_in(field);
  read(text, reader);
  into = std::move(reader.filter);
  return reader.fatal ? reader.fatal : reader.problem;
}

}  // namespace restream
