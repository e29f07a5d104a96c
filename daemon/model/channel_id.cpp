#include "model/channel_id.hpp"

#include <algorithm>

#include "model/utf8_check.hpp"

namespace restream {

namespace {

constexpr std::size_t max_value_size = 1024;

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string names_of(std::span<const ParamSpec> specs) {
  if (specs.empty()) return "this channel takes no params";
  std::string text = "known params: ";
  for (const ParamSpec& spec : specs) text += (&spec == specs.data() ? "" : ", ") + spec.name;
  return text;
}

std::expected<void, ParamError> check_value(const ParamSpec& spec, const std::string& value) {
  if (value.size() > max_value_size)
    return std::unexpected(ParamError{"param '" + spec.name + "' is longer than 1024 bytes"});
  if (std::ranges::any_of(value, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return std::unexpected(ParamError{"param '" + spec.name + "' holds a control character"});
  if (!spec.allowed.empty() && std::ranges::find(spec.allowed, value) == spec.allowed.end()) {
    std::string allowed;
    for (const std::string& one : spec.allowed) allowed += (allowed.empty() ? "" : ", ") + one;
    return std::unexpected(ParamError{"param '" + spec.name + "' must be one of: " + allowed});
  }
  if (!spec.pattern.matches(value))
    return std::unexpected(ParamError{"param '" + spec.name + "' must match the pattern " + spec.pattern.text()});
  return {};
}

}  // namespace

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4U];
      out += digits[byte & 15U];
    }
  }
  return out;
}

std::expected<std::string, ParamError> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) return std::unexpected(ParamError{"'%' must be followed by two hex digits"});
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  // As everywhere else: names and values are texts, and what is none could not be said in JSON.
  Utf8Check utf8;
  if (!utf8.add(out) || !utf8.whole()) return std::unexpected(ParamError{"what is there is not UTF-8"});
  return out;
}

std::expected<Query, ParamError> parse_query(std::string_view query) {
  Query result;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = percent_decode(pair.substr(0, equals));
    auto value = percent_decode(equals < pair.size() ? pair.substr(equals + 1) : std::string_view());
    if (!name) return std::unexpected(name.error());
    if (!value) return std::unexpected(value.error());
    Params& target = name->starts_with('_') ? result.own : result.params;
    target.emplace_back(std::move(*name), std::move(*value));
  }
  return result;
}

ChannelId make_channel_id(std::string fetcher, Params canonical) {
  ChannelId id{.fetcher = std::move(fetcher), .params = std::move(canonical), .text = {}};
  id.text = id.fetcher;
  char separator = '?';
  for (const auto& [name, value] : id.params) {
    id.text += separator;
    id.text += percent_encode(name) + '=' + percent_encode(value);
    separator = '&';
  }
  return id;
}

std::expected<ChannelId, ParamError> canonical_channel(std::string_view fetcher, std::span<const ParamSpec> specs,
                                                       Params given) {
  std::ranges::sort(given);
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto& [name, value] = given[i];
    const auto spec = std::ranges::find(specs, name, &ParamSpec::name);
    if (spec == specs.end())
      return std::unexpected(ParamError{"unknown param '" + name.substr(0, 64) + "'; " + names_of(specs)});
    if (i > 0 && given[i - 1].first == name)
      return std::unexpected(ParamError{"param '" + name + "' is given more than once"});
    if (auto fine = check_value(*spec, value); !fine) return std::unexpected(fine.error());
  }
  for (const ParamSpec& spec : specs) {
    if (std::ranges::find(given, spec.name, &Params::value_type::first) != given.end()) continue;
    if (spec.default_value)
      given.emplace_back(spec.name, *spec.default_value);
    else if (spec.required)
      return std::unexpected(ParamError{"param '" + spec.name + "' is required" +
                                        (spec.description.empty() ? "" : ": " + spec.description)});
  }
  std::ranges::sort(given);
  return make_channel_id(std::string(fetcher), std::move(given));
}

}  // namespace restream
