// The plugin that a verb works on: where its file and its host are, what it says of itself, and the JSON of its calls.
#pragma once

#include <expected>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/host_process.hpp"
#include "model/channel_id.hpp"
#include "model/metadata.hpp"
#include "tool/bench.hpp"

namespace restream::tool {

using KeyValues = std::map<std::string, std::string>;  // key name -> value

// What the command line says of plugin and host.
struct SubjectOptions {
  std::filesystem::path plugin;
  std::filesystem::path host;  // empty: beside this program, in ../libexec/restream
  std::uint64_t memory = 256ULL << 20U;
  SandboxMode sandbox = SandboxMode::required;
  Millis timeout{30000};      // of one fetch()
  std::string config = "{}";  // JSON text, handed to the plugin with every call
};

inline constexpr Millis metadata_timeout{2000};  // as restreamd has it

// "nyt-top" of "/some/where/nyt-top.so".
std::string plugin_name(const std::filesystem::path& plugin);
HostOptions host_options(const SubjectOptions& options);

// Why no plugin can be run as confined as the options ask for; empty when it can.
std::string sandbox_problem(const SubjectOptions& options);

// JSON text of the calls, as restreamd writes them.
std::string metadata_request(const SubjectOptions& options);
std::string fetch_request(const SubjectOptions& options, const ChannelId& channel, const KeyValues& keys);

// Loads the plugin on `bench` and asks it for its metadata. The error is a sentence.
struct Subject {
  HostReady ready;
  Metadata metadata;
  std::string origin;  // of api_url
};
std::expected<Subject, std::string> open_subject(Bench& bench, const SubjectOptions& options);

// A host's end as a sentence with its last line.
std::string end_text(const HostEnd& end);

// {"section": "world", "page": 2} -> name and text of each. The error is a sentence.
std::expected<Params, std::string> parse_params(std::string_view json);

// Values that stand in for the declared keys where none are needed: no two alike, and recognisable wherever they turn
// up.
KeyValues stand_in_keys(const Metadata& metadata);

std::vector<std::string> values_of(const KeyValues& keys);

}  // namespace restream::tool
