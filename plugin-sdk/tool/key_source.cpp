#include "tool/key_source.hpp"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string_view>

#include "keys/entries.hpp"
#include "keys/terminal.hpp"

namespace restream::tool {

namespace {

constexpr std::size_t most_bytes = 1U << 20U;

std::unexpected<KeyProblem> problem(std::string message) { return std::unexpected(KeyProblem{std::move(message)}); }

std::string list(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::expected<KeyValues, KeyProblem> pick(std::string_view json, const std::string& where, const Metadata& metadata) {
  const auto entries = keys::parse_entries(json);
  if (!entries)
    return problem(where + ", line " + std::to_string(entries.error().line) + ": " + entries.error().message +
                   "; it holds {\"FETCHER\": {\"KEY NAME\": \"VALUE\"}}, as `restream-keys export` writes it");
  const auto found = entries->find(metadata.name);
  KeyValues values;
  std::vector<std::string> missing;
  for (const std::string& name : metadata.keys) {
    if (found == entries->end() || !found->second.contains(name)) {
      missing.push_back(name);
    } else {
      values[name] = std::string(found->second.at(name).view());
    }
  }
  if (!missing.empty()) return problem(where + " lacks keys of fetcher '" + metadata.name + "': " + list(missing));
  return values;
}

std::expected<KeyValues, KeyProblem> ask(const Metadata& metadata) {
  KeyValues values;
  for (const std::string& name : metadata.keys) {
    const auto value = keys::ask_hidden("key '" + name + "' of fetcher " + metadata.name);
    if (!value)
      return problem("the keys of fetcher '" + metadata.name + "' are needed (" + list(metadata.keys) +
                     "): --keys FILE, or --keys - for standard input; " + value.error().message);
    values[name] = std::string(value->view());
  }
  return values;
}

}  // namespace

std::expected<KeyValues, KeyProblem> read_keys(const std::string& source, const Metadata& metadata) {
  if (metadata.keys.empty()) return KeyValues{};
  if (source.empty() || (source == "-" && keys::StandardInput::is_terminal())) return ask(metadata);
  if (source == "-") {
    const auto text = keys::StandardInput().read_rest(most_bytes);
    if (!text) return problem(text.error().message);
    return pick(text->view(), "standard input", metadata);
  }
  std::ifstream file(source, std::ios::binary);
  if (!file) return problem("--keys " + source + " cannot be read");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return pick(text, "--keys " + source, metadata);
}

}  // namespace restream::tool
