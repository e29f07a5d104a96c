#include "tool/subject.hpp"

#include <restream/fetcher.h>

#include <nlohmann/json.hpp>

#include "fetch/metadata_parser.hpp"
#include "fetch/sandbox_probe.hpp"
#include "http/http_client.hpp"

namespace restream::tool {

using nlohmann::json;

namespace {

// Text that is not UTF-8 must not end the tool.
std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::filesystem::path host_beside_us() {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  return self.parent_path().parent_path() / "libexec" / "restream" / "restream-fetcher-host";
}

}  // namespace

std::string plugin_name(const std::filesystem::path& plugin) { return plugin.stem().string(); }

HostOptions host_options(const SubjectOptions& options) {
  HostOptions host;
  host.host = options.host.empty() ? host_beside_us() : options.host;
  host.plugin = options.plugin;
  host.name = plugin_name(options.plugin);
  host.memory = options.memory;
  host.sandbox = options.sandbox;
  return host;
}

std::string sandbox_problem(const SubjectOptions& options) {
  if (options.sandbox != SandboxMode::required) return {};
  const auto missing = probe_sandbox(host_options(options).host);
  if (!missing) return missing.error();
  std::string problems;
  for (const std::string& part : *missing) problems += (problems.empty() ? "" : "; ") + part;
  if (problems.empty()) return {};
  return "plugins cannot be confined here as they are in restreamd: " + problems +
         ". --sandbox best-effort runs them with what there is";
}

std::string metadata_request(const SubjectOptions& options) {
  return dump({{"call", "metadata"}, {"config", json::parse(options.config)}});
}

std::string fetch_request(const SubjectOptions& options, const ChannelId& channel, const KeyValues& keys) {
  json params = json::object();
  for (const auto& [name, value] : channel.params) params[name] = value;
  return dump({{"call", "fetch"},
               {"channel", channel.fetcher},
               {"params", std::move(params)},
               {"keys", keys},
               {"config", json::parse(options.config)}});
}

std::string end_text(const HostEnd& end) {
  return end.last_line.empty() ? end.reason : end.reason + "; its last line: " + end.last_line;
}

std::expected<Subject, std::string> open_subject(Bench& bench, const SubjectOptions& options) {
  auto ready = bench.start();
  if (!ready) return std::unexpected(end_text(ready.error()));
  const BenchResult result = bench.call(HostFunction::metadata, metadata_request(options), metadata_timeout, nullptr);
  if (result.kind == CallResult::Kind::timed_out) return std::unexpected("metadata() did not return within 2 seconds");
  if (!result.returned()) return std::unexpected("metadata() ended its host: " + end_text(bench.wait_for_end()));
  if (result.code != RESTREAM_OK) {
    const auto lines = bench.take_lines();
    return std::unexpected("metadata() returned code " + std::to_string(result.code) +
                           (lines.empty() ? "" : ": " + lines.back().text));
  }
  auto metadata = parse_metadata(result.output);
  if (!metadata) return std::unexpected(metadata.error());
  auto origin = origin_of(metadata->api_url);
  if (!origin) return std::unexpected("metadata field 'api_url': " + origin.error());
  return Subject{.ready = std::move(*ready), .metadata = std::move(*metadata), .origin = std::move(*origin)};
}

std::expected<Params, std::string> parse_params(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return std::unexpected(R"(--params must be a JSON object, like '{"section": "world"}')");
  Params params;
  for (const auto& [name, value] : object.items()) {
    if (value.is_string()) {
      params.emplace_back(name, value.get<std::string>());
    } else if (value.is_number() || value.is_boolean()) {
      params.emplace_back(name, value.dump());
    } else {
      return std::unexpected("--params: '" + name + "' must be a string, a number or a boolean");
    }
  }
  return params;
}

KeyValues stand_in_keys(const Metadata& metadata) {
  KeyValues keys;
  for (const std::string& name : metadata.keys) keys[name] = "stand-in-for-" + name + "-0f1e2d3c";
  return keys;
}

std::vector<std::string> values_of(const KeyValues& keys) {
  std::vector<std::string> values;
  for (const auto& [name, value] : keys) values.push_back(value);
  return values;
}

}  // namespace restream::tool
