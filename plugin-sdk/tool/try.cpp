#include "tool/try.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "channel/frame.hpp"
#include "diff/diff.hpp"
#include "ops/utf8.hpp"
#include "tool/trial.hpp"
#include "tool/watch.hpp"

namespace restream::tool {

using json = nlohmann::ordered_json;

namespace {

// For people, and so for terminals: plugins and APIs have their words in it.
void print(std::FILE* to, const std::string& line) { std::fprintf(to, "%s\n", printable(line).c_str()); }

std::string millis(std::chrono::microseconds time) {
  return std::to_string(time.count() / 1000) + "." + std::to_string(time.count() / 100 % 10) + " ms";
}

std::string_view source_text(LogSource source) {
  switch (source) {
    case LogSource::plugin:
      return "log";
    case LogSource::standard_output:
      return "stdout";
    case LogSource::standard_error:
      return "stderr";
  }
  return "";
}

DiffRules rules_of(const Metadata& metadata) {
  return {.id_field = metadata.id_field, .ignore = metadata.ignore, .unordered = metadata.unordered};
}

Sliced items_of(const Trial& trial, const Poll& poll) {
  if (poll.failure) return {};
  return slice_result(poll.result.output, rules_of(trial.subject().metadata)).value_or(Sliced{});
}

void print_people(const Trial& trial, const Poll& poll, const TryOptions& options, std::chrono::microseconds total) {
  const Subject& subject = trial.subject();
  print(stdout, "fetcher   " + subject.metadata.name +
                    (subject.metadata.version.empty() ? "" : " " + subject.metadata.version) + " (ABI " +
                    subject.ready.abi + ", SDK " + subject.ready.sdk_version + ")");
  print(stdout, "channel   " + trial.channel().text);
  if (!options.replay.empty()) print(stdout, "replayed  " + options.replay.string() + " (no network)");
  for (const Exchange& one : poll.exchanges) print(stdout, "request   " + exchange_text(one));
  if (poll.exchanges.empty()) print(stdout, "request   none");
  for (const BenchLine& line : poll.lines)
    print(stdout,
          std::string(source_text(line.source)) + std::string(10 - source_text(line.source).size(), ' ') + line.text);
  const Sliced sliced = items_of(trial, poll);
  if (poll.failure) {
    std::string state(text(poll.failure->state));
    if (poll.failure->reason != Reason::none) state += ": " + std::string(text(poll.failure->reason));
    print(stdout, "failed    " + state + ": " + poll.failure->message);
  } else {
    print(stdout,
          "items     " + std::to_string(sliced.items.size()) +
              (sliced.skipped == 0 ? "" : ", besides " + std::to_string(sliced.skipped) + " without an id") +
              (sliced.repeated == 0 ? ""
                                    : ", besides " + std::to_string(sliced.repeated) + " with an id that came before"));
  }
  Millis http{};
  for (const Exchange& one : poll.exchanges) http += one.time;
  print(stdout, "time      " + millis(total) + " (host start and metadata " +
                    std::to_string(trial.load_time().count()) + " ms, fetch " + millis(poll.result.time) +
                    ", of it HTTP " + std::to_string(http.count()) + " ms)");
  for (const SlicedItem& item : sliced.items) print(stdout, trial.redact(item.json));
}

void print_json(const Trial& trial, const Poll& poll, std::chrono::microseconds total) {
  const Subject& subject = trial.subject();
  json requests = json::array();
  for (const Exchange& one : poll.exchanges) {
    json request = {{"method", one.request.method}, {"url", one.request.url}};
    if (one.result) {
      request["status"] = one.result->status;
      request["bytes"] = one.result->body.size();
    } else {
      request["problem"] = problem_text(one.result.error().problem);
      request["message"] = one.result.error().message;
    }
    request["ms"] = one.time.count();
    requests.push_back(std::move(request));
  }
  json lines = json::array();
  for (const BenchLine& line : poll.lines)
    lines.push_back({{"source", source_text(line.source)}, {"level", line.level}, {"text", line.text}});
  json failure;
  if (poll.failure)
    failure = {{"state", text(poll.failure->state)},
               {"reason", text(poll.failure->reason)},
               {"message", poll.failure->message}};
  const Sliced sliced = items_of(trial, poll);
  const auto put = [](const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); };
  // Items are put in as they are: their bytes are never written anew.
  std::string out = "{" + channel_label(trial.channel());
  out += ",\"plugin\":" +
         put({{"abi", subject.ready.abi}, {"sdk", subject.ready.sdk_version}, {"version", subject.metadata.version}});
  out += ",\"requests\":" + put(requests) + ",\"log\":" + put(lines) + ",\"failure\":" + put(failure);
  out += ",\"skipped\":" + std::to_string(sliced.skipped) + ",\"repeated\":" + std::to_string(sliced.repeated);
  out += ",\"time_us\":{\"total\":" + std::to_string(total.count()) +
         ",\"fetch\":" + std::to_string(poll.result.time.count()) + "},\"items\":[";
  const char* separator = "";
  for (const SlicedItem& item : sliced.items) {
    out.append(separator).append(R"({"id":)").append(json_string(item.id));
    out.append(R"(,"item":)").append(trial.redact(item.json)).append("}");
    separator = ",";
  }
  std::printf("%s]}\n", out.c_str());
}

int complain(const TrialProblem& problem) {
  print(stderr, "restream-plugin: " + problem.message);
  return problem.exit_code;
}

int one_fetch(Trial& trial, const TryOptions& options, SteadyTime began) {
  const Poll poll = trial.poll({});
  const auto total = std::chrono::duration_cast<std::chrono::microseconds>(poll.back - began);
  if (options.json) {
    print_json(trial, poll, total);
  } else {
    print_people(trial, poll, options, total);
  }
  if (auto saved = trial.save(); !saved) return complain(saved.error());
  return poll.failure ? exit_fault : exit_fine;
}

}  // namespace

int run_try(const TryOptions& options) {
  const SteadyTime began = std::chrono::steady_clock::now();
  Trial trial(options);
  if (auto opened = trial.open(); !opened) return complain(opened.error());
  if (!options.watch) return one_fetch(trial, options, began);
  const int code = watch(trial, options);
  if (auto saved = trial.save(); !saved) return complain(saved.error());
  return code;
}

}  // namespace restream::tool
