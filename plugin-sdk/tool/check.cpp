#include "tool/check.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "ops/utf8.hpp"
#include "tool/examination.hpp"
#include "tool/key_source.hpp"
#include "tool/trial.hpp"
#include "tool/try.hpp"

namespace restream::tool {

namespace {

constexpr std::size_t most_channels = 6;

int complain(int code, const std::string& message) {
  std::fprintf(stderr, "restream-plugin: %s\n", printable(message).c_str());
  return code;
}

// Reads the recording, or makes one by asking the API once.
std::expected<std::optional<Recording>, TrialProblem> find_recording(const CheckOptions& options) {
  const auto usage = [](std::string message) {
    return std::unexpected(TrialProblem{.exit_code = exit_usage, .message = std::move(message)});
  };
  if (!options.replay.empty()) {
    std::ifstream file(options.replay, std::ios::binary);
    if (!file) return usage("--replay " + options.replay.string() + " cannot be read");
    auto read = parse_recording(std::string{std::istreambuf_iterator<char>(file), {}});
    if (!read) return usage("--replay " + options.replay.string() + ": " + read.error());
    return std::move(*read);
  }
  if (!options.live) return std::nullopt;
  TryOptions once;
  once.subject = options.subject;
  if (!options.params.empty()) once.params = options.params.front();
  once.keys = options.keys;
  once.origin = options.origin;
  once.allow_private = options.allow_private;
  once.http = options.http;
  Trial trial(once);
  if (auto opened = trial.open(); !opened) return std::unexpected(opened.error());
  const Poll poll = trial.poll({});
  if (poll.failure)
    return std::unexpected(
        TrialProblem{.exit_code = exit_fault,
                     .message = "--live: the API was asked once, and there are no items: " + poll.failure->message});
  return trial.recording();
}

// The fetcher's own hints at what one may ask for, varied by what its enums allow.
std::vector<Params> candidates(const Examination& exam, const CheckOptions& options) {
  std::vector<Params> out = options.params;
  if (out.empty() && exam.recording) out.push_back(exam.recording->params);
  const nlohmann::json metadata = nlohmann::json::parse(exam.subject.metadata.json);
  if (metadata.contains("example_params"))
    if (auto example = parse_params(metadata.at("example_params").dump())) out.push_back(std::move(*example));
  out.emplace_back();
  const Params base = out.front();
  for (const ParamSpec& spec : exam.subject.metadata.params) {
    std::vector<std::string> values = spec.allowed;
    if (values.empty()) values = {"a", "b", "alpha", "1", "22", "12345678", "a/b", "c/d", "2024-01-01"};
    for (const std::string& value : values) {
      Params varied = base;
      std::erase_if(varied, [&](const auto& param) { return param.first == spec.name; });
      varied.emplace_back(spec.name, value);
      out.push_back(std::move(varied));
    }
  }
  return out;
}

// The error is a sentence.
std::expected<void, std::string> choose_channels(Examination& exam, const CheckOptions& options) {
  for (const Params& params : options.params)
    if (auto made = canonical_channel(exam.subject.metadata.name, exam.subject.metadata.params, params); !made)
      return std::unexpected("--params: " + made.error().message);
  for (Params& params : candidates(exam, options)) {
    auto channel = exam.channel_of(std::move(params));
    if (!channel || std::ranges::find(exam.channels, *channel) != exam.channels.end()) continue;
    exam.channels.push_back(std::move(*channel));
    if (exam.channels.size() >= std::max(most_channels, options.params.size())) break;
  }
  if (exam.channels.empty())
    return std::unexpected("no channel of fetcher '" + exam.subject.metadata.name +
                           "' is known: give one with --params '{…}', or example_params in its metadata");
  return {};
}

// A plugin that never returns would take minutes to check, and there would be nothing to see.
bool hangs(const Section& section) {
  return (section.name == "items" || section.name == "requests") &&
         std::ranges::any_of(section.findings, [](const Finding& finding) {
           return finding.what.find("did not return by its deadline") != std::string::npos;
         });
}

int finish(const Report& report, bool json) {
  const std::string text = json ? printable_json(json_of(report)) : printable(text_of(report), true);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return report.findings() == 0 ? exit_fine : exit_fault;
}

}  // namespace

int run_check(const CheckOptions& options) {
  Report report{.plugin = options.subject.plugin.string(), .sections = {}};
  Examination exam(options.subject);
  report.sections.push_back(check_load(exam));
  if (!report.sections.back().findings.empty() && exam.subject.metadata.name.empty())
    return finish(report, options.json);

  auto recording = find_recording(options);
  if (!recording) return complain(recording.error().exit_code, recording.error().message);
  exam.recording = std::move(*recording);
  if (exam.recording && !exam.recording->fetcher.empty() && exam.recording->fetcher != exam.subject.metadata.name)
    return complain(exit_usage, "--replay " + options.replay.string() + " is of fetcher '" + exam.recording->fetcher +
                                    "', and this plugin is '" + exam.subject.metadata.name + "'");
  if (auto chosen = choose_channels(exam, options); !chosen) return complain(exit_usage, chosen.error());
  exam.keys = stand_in_keys(exam.subject.metadata);
  if (!options.keys.empty() && !options.live) {
    auto keys = read_keys(options.keys, exam.subject.metadata);
    if (!keys) return complain(exit_usage, keys.error().message);
    exam.keys = std::move(*keys);
  }
  exam.redactor = Redactor(values_of(exam.keys));

  for (const auto check : {check_metadata, check_items, check_repeats, check_requests, check_params, check_answers,
                           check_deadlines, check_threads, check_output, check_keys}) {
    report.sections.push_back(check(exam));
    if (!hangs(report.sections.back())) continue;
    report.sections.push_back({.name = "others",
                               .note = "fetch() does not return, so nothing more can be looked at; mend that first",
                               .skipped = true,
                               .findings = {}});
    break;
  }
  return finish(report, options.json);
}

}  // namespace restream::tool
