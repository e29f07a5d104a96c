// What a plugin is, and what it says of itself.
#include <restream/fetcher.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "fetch/metadata_parser.hpp"
#include "keys/entries.hpp"
#include "tool/examination.hpp"

namespace restream::tool {

using nlohmann::json;

namespace {

constexpr std::array<std::string_view, 16> known_fields = {
    "name",  "description", "id_field", "api_url",   "doc_url", "keys", "poll_interval",  "params",
    "quota", "complete",    "ignore",   "unordered", "version", "icon", "example_params", "limited_status"};
constexpr std::array<std::string_view, 5> known_param_fields = {"required", "default", "pattern", "enum",
                                                                "description"};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// The host's words, with what to do about them.
void explain_refusal(Section& section, const std::string& reason) {
  const std::string why = "restreamd refuses such a file, and its channels are unavailable.";
  if (has(reason, "is built for fetcher ABI"))
    return section.find(reason, why, "Build the plugin with the SDK of the restream that it is to run on.");
  if (has(reason, "does not export"))
    return section.find(
        reason, why,
        "C++: put RESTREAM_FETCHER(YourStruct) at namespace scope of one source file. C: define restream_fetcher, "
        "metadata and fetch with RESTREAM_EXPORT. Rust: use restream_fetcher!(metadata, fetch). Build it with "
        "restream_plugin(), and look at `nm -D --defined-only`.");
  if (has(reason, "no fetcher descriptor") || has(reason, "descriptor says") || has(reason, "sets flags"))
    return section.find(reason, why,
                        "Initialise restream_fetcher with RESTREAM_FETCHER_DESCRIPTOR_VALUE, and nothing else.");
  if (has(reason, "undefined symbol"))
    return section.find(reason, why, "Link the library that has the symbol: restream_plugin(… LINKS …).");
  section.find(reason, why, "Give it a shared library that restream-fetcher-host can load.");
}

void explain_start(Section& section, const std::string& reason) {
  if (has(reason, "metadata()") || has(reason, "metadata field") || has(reason, "metadata is"))
    return section.find(
        reason, "restreamd asks for the metadata before anything else, and refuses a fetcher without it.",
        "Mend metadata(). It returns one constant JSON object, at once and without HTTP; docs/fetchers.md "
        "lists its fields.");
  if (has(reason, "was not ready within"))
    return section.find(reason, "A library that hangs while it is loaded never serves a call.",
                        "Do nothing in constructors of globals; do the work in fetch().");
  if (has(reason, "signal") || has(reason, "exit status"))
    return section.find("its host ended while the plugin was being loaded: " + reason,
                        "restreamd starts it again and again, and gives it up after five times.",
                        "Do nothing in constructors of globals; do the work in fetch().");
  explain_refusal(section, reason);
}

void check_param(Section& section, const ParamSpec& spec, const std::string& fetcher) {
  const auto accepts = [&](const std::string& value) {
    ParamSpec alone = spec;
    return canonical_channel(fetcher, {&alone, 1}, {{spec.name, value}}).has_value();
  };
  const std::string what = "param '" + spec.name + "'";
  if (spec.required && spec.default_value)
    section.find(what + " is required and has a default",
                 "The default is never used: a subscriber must give the param.", "Leave one of the two out.");
  if (spec.default_value && !accepts(*spec.default_value))
    section.find("the default of " + what + " is not among the values that it allows",
                 "A subscriber who leaves the param out is refused.", "Make `default` fit `pattern` and `enum`.");
  for (const std::string& value : spec.allowed)
    if (!accepts(value))
      section.find(what + ": the enum's value '" + value + "' does not match the pattern",
                   "Nobody can ever ask for that channel.", "Make `pattern` and `enum` agree, or keep only one.");
}

void check_unknown_fields(Section& section, const json& object) {
  for (const auto& [name, value] : object.items())
    if (std::ranges::find(known_fields, name) == known_fields.end())
      section.find("metadata has a field '" + name + "' that the contract does not know",
                   "restreamd ignores it; most often it is a slip of the pen for one that matters.",
                   "Spell it as docs/fetchers.md does, or leave it out.");
  if (!object.contains("params")) return;
  for (const auto& [param, spec] : object.at("params").items())
    for (const auto& [name, value] : spec.items())
      if (std::ranges::find(known_param_fields, name) == known_param_fields.end())
        section.find("param '" + param + "' has a field '" + name + "' that the contract does not know",
                     "restreamd ignores it.", "Spell it as docs/fetchers.md does, or leave it out.");
}

void check_example(Section& section, const Metadata& metadata, const json& object) {
  const auto example = object.find("example_params");
  if (example == object.end()) return;
  auto params = parse_params(example->dump());
  std::string problem;
  if (!params) {
    problem = "it is not an object of strings";
  } else if (auto channel = canonical_channel(metadata.name, metadata.params, std::move(*params)); !channel) {
    problem = channel.error().message;
  }
  if (!problem.empty())
    section.find("example_params name a channel that would be refused: " + problem, "It is what people paste first.",
                 "Give params that the fetcher accepts.");
}

void check_quota(Section& section, const Metadata& metadata) {
  if (!metadata.quota) return;
  const std::string& shared = metadata.quota->shared_key;
  if (!shared.empty() && std::ranges::find(metadata.keys, shared) == metadata.keys.end())
    section.find("quota.shared_key is '" + shared + "', which is not among the keys",
                 "The calls would be counted against a key that the fetcher never gets.",
                 "Name one of `keys`, or leave shared_key out.");
}

void check_key_names(Section& section, const Metadata& metadata) {
  std::set<std::string> seen;
  for (const std::string& key : metadata.keys) {
    if (!keys::valid_name(key))
      section.find("the key name '" + key + "' cannot be stored",
                   "restream-keys refuses it, so the fetcher would need a key for ever.",
                   "Key names are " + std::string(keys::kNameRule) + ".");
    if (!seen.insert(key).second)
      section.find("the key '" + key + "' is declared twice", "It makes no sense.", "Declare it once.");
  }
}

}  // namespace

Section check_load(Examination& exam) {
  Section section{.name = "load", .note = {}, .skipped = false, .findings = {}};
  const auto& file = exam.options.plugin;
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    section.find(file.string() + " is not a file", "There is nothing to check.", "Name the .so that your build made.");
    return section;
  }
  if (auto loaded = exam.load(); !loaded) {
    explain_start(section, loaded.error());
    return section;
  }
  section.note = "ABI " + exam.subject.ready.abi + ", SDK " + exam.subject.ready.sdk_version;
  if (file.extension() != ".so")
    section.find("the file's name does not end with .so", "restreamd only looks at files that do.", "Rename it.");
  if (plugin_name(file) != exam.subject.metadata.name)
    section.find(
        "the file is named " + file.filename().string() + ", and the fetcher '" + exam.subject.metadata.name + "'",
        "restreamd refuses a plugin whose file bears another name than its metadata.",
        "Name the file " + exam.subject.metadata.name + ".so.");
  return section;
}

Section check_metadata(Examination& exam) {
  Section section{.name = "metadata", .note = {}, .skipped = false, .findings = {}};
  const Metadata& metadata = exam.subject.metadata;
  const json object = json::parse(metadata.json);
  section.note = "fetcher '" + metadata.name + "', " + std::to_string(metadata.params.size()) + " params, " +
                 std::to_string(metadata.keys.size()) + " keys, every " +
                 std::to_string(metadata.poll_interval.count()) + " s";
  if (metadata.description.empty())
    section.find("the description is empty", "People who look at GET /fetchers learn nothing.", "Write one line.");
  if (!metadata.doc_url.starts_with("http"))
    section.find("doc_url is no address", "It tells people where the API is described.", "Give an https:// address.");
  check_unknown_fields(section, object);
  for (const ParamSpec& spec : metadata.params) check_param(section, spec, metadata.name);
  check_example(section, metadata, object);
  check_quota(section, metadata);
  check_key_names(section, metadata);

  const BenchResult again =
      exam.bench().call(HostFunction::metadata, metadata_request(exam.options), metadata_timeout, nullptr);
  const auto parsed =
      again.returned() && again.code == RESTREAM_OK ? parse_metadata(again.output) : std::unexpected<std::string>("");
  if (!parsed || parsed->json != metadata.json)
    section.find("metadata() says something else when it is asked again",
                 "restreamd asks once and relies on the answer.", "Return a constant.");
  exam.collect_lines(false);
  return section;
}

}  // namespace restream::tool
