// What every check needs: the plugin in its host (started anew when a check ended it), channels, keys, a recording, and
// what was seen of logs and leaks on the way. Runs on: the tool's main thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diff/diff.hpp"
#include "ops/redactor.hpp"
#include "tool/bench.hpp"
#include "tool/findings.hpp"
#include "tool/recording.hpp"
#include "tool/subject.hpp"
#include "tool/upstreams.hpp"

namespace restream::tool {

// How a fetch ended, in the words of findings.
struct Seen {
  enum class Kind : std::uint8_t { items, failure, refused, bad_result, timed_out, crashed };
  Kind kind = Kind::crashed;
  int status = 0;    // of items and failure
  std::string text;  // of failure, bad_result and crashed
  std::int32_t code = 0;
  Sliced sliced;  // of items
  BenchResult result;
  [[nodiscard]] bool ended_host() const { return kind == Kind::timed_out || kind == Kind::crashed; }
};

// "it crashed: signal 11 (SIGSEGV)", "it returned 200 with 3 items".
std::string say(const Seen& seen);

class Examination {
 public:
  explicit Examination(SubjectOptions options);

  // Loads the plugin; the error is a sentence.
  std::expected<void, std::string> load();

  // One fetch. `timeout` is the call's; keys are the examination's unless given.
  Seen fetch(const ChannelId& channel, const Upstream& upstream, Millis timeout = call_time);
  Seen fetch_text(const std::string& request, const Upstream& upstream, Millis timeout = call_time);

  // For calls that overlap: the running bench, and what became of a call.
  Bench& bench();
  Seen see(BenchResult result);
  void collect_lines(bool wait);

  [[nodiscard]] std::string request_for(const ChannelId& channel) const;
  [[nodiscard]] std::string request_for(const ChannelId& channel, const KeyValues& other_keys) const;
  [[nodiscard]] DiffRules rules() const;

  // Another channel of the fetcher, where the params are acceptable.
  [[nodiscard]] std::optional<ChannelId> channel_of(Params params) const;

  // A channel that the plugin may be asked for, and some more when there are any.
  [[nodiscard]] const ChannelId& channel() const { return channels.front(); }

  static constexpr Millis call_time{10000};

  SubjectOptions options;
  Subject subject;
  std::vector<ChannelId> channels;  // at least one once they are chosen
  KeyValues keys;
  Redactor redactor;
  std::optional<Recording> recording;  // of channel()
  std::optional<Seen> first;           // what the recording became when the plugin was fresh
  std::vector<BenchLine> lines;        // all that was logged and printed
  std::vector<std::string> leaks;      // where a key was seen
  std::vector<HostHttpRequest> asked;  // all requests

 private:
  std::unique_ptr<Bench> bench_;
};

// Fixed answers.
Upstream always(int status, std::string body, std::string content_type = "application/json");
Upstream always_problem(std::int32_t code, std::string error);
Upstream silent();  // never answers

// The checks, in the order they are made. The first two say whether the others can be.
Section check_load(Examination& exam);
Section check_metadata(Examination& exam);
Section check_requests(Examination& exam);
Section check_params(Examination& exam);
Section check_answers(Examination& exam);
Section check_deadlines(Examination& exam);
Section check_items(Examination& exam);
Section check_repeats(Examination& exam);
Section check_threads(Examination& exam);
Section check_output(Examination& exam);
Section check_keys(Examination& exam);

}  // namespace restream::tool
