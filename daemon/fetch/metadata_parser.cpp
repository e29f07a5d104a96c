#include "fetch/metadata_parser.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "config/scalar.hpp"

namespace restream {

namespace {

using nlohmann::json;

constexpr std::size_t max_metadata = 256U << 10U;
constexpr int max_depth = 64;
constexpr std::size_t max_params = 64;
constexpr double longest_interval = 30.0 * 24 * 3600;

// Thrown inside this file only; parse_metadata() turns it into the error.
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void refuse(const std::string& field, const std::string& expected) {
  throw Refused("metadata field '" + field + "' must be " + expected);
}

// Bounded before it is a tree: whoever writes, copies or compares a tree recurses over its depth.
json parse_bounded(std::string_view text) {
  return json::parse(text, [](int outside, json::parse_event_t event, const json&) {
    using Event = json::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) && outside >= max_depth)
      throw Refused("metadata is nested deeper than " + std::to_string(max_depth) + " levels");
    return true;
  });
}

std::string text_of(const json& value, const std::string& field) {
  if (!value.is_string()) refuse(field, "a string");
  return value.get<std::string>();
}

std::string text_in(const json& object, const char* field, bool needed) {
  const auto found = object.find(field);
  if (found == object.end()) {
    if (needed) refuse(field, "there: it is one of the contract's seven");
    return {};
  }
  return text_of(*found, field);
}

std::vector<std::string> texts_in(const json& object, const char* field) {
  std::vector<std::string> out;
  const auto found = object.find(field);
  if (found == object.end()) return out;
  if (!found->is_array()) refuse(field, "an array of strings");
  for (const json& one : *found) out.push_back(text_of(one, field));
  return out;
}

std::vector<std::string> pointers_in(const json& object, const char* field) {
  std::vector<std::string> out = texts_in(object, field);
  for (const std::string& one : out) {
    try {
      static_cast<void>(json::json_pointer(one));
    } catch (const json::exception&) {
      refuse(field, "an array of JSON pointers; '" + one + "' is none");
    }
  }
  return out;
}

bool flag_in(const json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end()) return false;
  if (!found->is_boolean()) refuse(field, "true or false");
  return found->get<bool>();
}

// Params are strings, but an author may well write a number or a boolean where one is meant.
std::string scalar_of(const json& value, const std::string& field) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  refuse(field, "a string, a number or a boolean");
}

ParamSpec param_of(const std::string& name, const json& value) {
  const std::string field = "params." + name;
  if (name.empty() || name.starts_with('_')) refuse(field, "named otherwise: names with '_' belong to the daemon");
  if (!value.is_object()) refuse(field, "an object");
  ParamSpec spec;
  spec.name = name;
  spec.required = flag_in(value, "required");
  spec.pattern = Pattern(text_in(value, "pattern", false));
  if (!spec.pattern.problem().empty())
    refuse(field + ".pattern", "a regular expression in RE2's syntax: " + spec.pattern.problem());
  spec.description = text_in(value, "description", false);
  if (const auto given = value.find("default"); given != value.end() && !given->is_null())
    spec.default_value = scalar_of(*given, field + ".default");
  if (const auto given = value.find("enum"); given != value.end()) {
    if (!given->is_array()) refuse(field + ".enum", "an array");
    for (const json& one : *given) spec.allowed.push_back(scalar_of(one, field + ".enum"));
  }
  return spec;
}

Seconds window_of(const std::string& text) {
  if (text == "second") return Seconds(1);
  if (text == "minute") return Seconds(60);
  if (text == "hour") return Seconds(3600);
  if (text == "day") return Seconds(86400);
  refuse("quota.per", "second, minute, hour or day");
}

std::optional<QuotaSpec> quota_in(const json& object) {
  const auto found = object.find("quota");
  if (found == object.end() || found->is_null()) return std::nullopt;
  if (!found->is_object()) refuse("quota", "an object");
  const auto calls = found->find("calls");
  if (calls == found->end() || !calls->is_number_unsigned() || *calls == 0) refuse("quota.calls", "a number above 0");
  return QuotaSpec{.calls = calls->get<std::uint64_t>(),
                   .per = window_of(text_in(*found, "per", true)),
                   .shared_key = text_in(*found, "shared_key", false)};
}

std::vector<int> limited_status_in(const json& object) {
  std::vector<int> out;
  const auto found = object.find("limited_status");
  if (found == object.end()) return out;
  if (!found->is_array()) refuse("limited_status", "an array of statuses from 400 to 599");
  for (const json& one : *found) {
    if (!one.is_number_unsigned() || one < 400 || one > 599)
      refuse("limited_status", "an array of statuses from 400 to 599");
    out.push_back(one.get<int>());
  }
  return out;
}

Metadata read(const json& object) {
  if (!object.is_object()) throw Refused("metadata must be a JSON object");
  Metadata metadata;
  metadata.name = text_in(object, "name", true);
  if (!is_fetcher_name(metadata.name)) refuse("name", "lower-case letters, digits and '-', at most 64");
  metadata.description = text_in(object, "description", true);
  metadata.id_field = text_in(object, "id_field", true);
  if (metadata.id_field.empty()) refuse("id_field", "the name of the items' id");
  metadata.api_url = text_in(object, "api_url", true);
  metadata.doc_url = text_in(object, "doc_url", true);
  if (!object.contains("keys")) refuse("keys", "there: an array of key names, [] for none");
  metadata.keys = texts_in(object, "keys");
  const auto interval = object.find("poll_interval");
  if (interval == object.end() || !interval->is_number()) refuse("poll_interval", "a number of seconds");
  const double seconds = interval->get<double>();
  if (!(seconds >= 1 && seconds <= longest_interval)) refuse("poll_interval", "between 1 second and 30 days");
  metadata.poll_interval = Seconds(static_cast<Seconds::rep>(std::ceil(seconds)));
  if (const auto params = object.find("params"); params != object.end()) {
    if (!params->is_object()) refuse("params", "an object: name -> {required, default, pattern, enum, description}");
    if (params->size() > max_params) refuse("params", "an object of at most " + std::to_string(max_params) + " params");
    for (const auto& [name, value] : params->items()) metadata.params.push_back(param_of(name, value));
  }
  metadata.quota = quota_in(object);
  metadata.limited_status = limited_status_in(object);
  metadata.complete = flag_in(object, "complete");
  metadata.ignore = pointers_in(object, "ignore");
  metadata.unordered = pointers_in(object, "unordered");
  metadata.version = text_in(object, "version", false);
  metadata.json = object.dump(-1, ' ', false, json::error_handler_t::replace);
  return metadata;
}

}  // namespace

std::expected<Metadata, std::string> parse_metadata(std::string_view text) {
  if (text.size() > max_metadata) return std::unexpected("metadata is longer than 256 KiB");
  try {
    return read(parse_bounded(text));
  } catch (const Refused& refused) {
    return std::unexpected(refused.what());
  } catch (const json::exception&) {
    return std::unexpected("metadata is not JSON");
  }
}

std::string version_in(std::string_view text) {
  if (text.size() > max_metadata) return {};
  try {
    const json object = parse_bounded(text);
    return object.is_object() ? text_in(object, "version", false) : std::string();
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace restream
