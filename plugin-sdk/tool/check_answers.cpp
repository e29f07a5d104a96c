// What a plugin makes of answers that no recording holds: failures, nonsense, silence.
#include <restream/fetcher.h>

#include <array>

#include "tool/examination.hpp"

namespace restream::tool {

namespace {

constexpr Millis patience{2000};  // for a call that was cancelled
constexpr Millis short_deadline{2000};

void crashed(Section& section, const std::string& when, const Seen& seen) {
  section.find(when + ": " + say(seen),
               "The poll fails as `plugin_crashed` or `plugin_timeout`, and every other call of the plugin with it.",
               "Check what the API sent before you use it: the answer may be anything.");
}

struct Nonsense {
  const char* what;
  std::string body;
  const char* type;
  bool may_be_empty;  // an honest plugin may take it for "no items"
};

std::vector<Nonsense> nonsense(const Examination& exam) {
  std::string half = R"({"items": [{"id": "1", "ti)";
  if (exam.recording)
    for (const Exchange& one : exam.recording->exchanges)
      if (one.result && one.result->body.size() > 1) half = one.result->body.substr(0, one.result->body.size() / 2);
  return {{"a page of HTML", "<!DOCTYPE html><html><body>Down for maintenance</body></html>", "text/html", false},
          {"an empty body", "", "application/json", false},
          {"half of an answer", half, "application/json", false},
          {"the JSON null", "null", "application/json", false},
          {"JSON of another shape (a number)", "42", "application/json", false},
          {"JSON of another shape (an empty object)", "{}", "application/json", true},
          {"an empty list", "[]", "application/json", true},
          {"JSON 100,000 levels deep", std::string(100'000, '['), "application/json", false},
          {"text that is not UTF-8", "{\"items\": [{\"id\": \"\xFF\xFE\"}]}", "application/json", true}};
}

}  // namespace

Section check_answers(Examination& exam) {
  Section section{.name = "answers", .note = {}, .skipped = false, .findings = {}};
  std::size_t tried = 0;
  for (const int status : {400, 401, 403, 404, 429, 500, 503}) {
    const Seen seen = exam.fetch(exam.channel(), always(status, R"({"error": "a made-up failure"})"));
    const std::string when = "when the API answers " + std::to_string(status);
    ++tried;
    if (seen.ended_host()) {
      crashed(section, when, seen);
    } else if (seen.kind == Seen::Kind::items) {
      section.find(when + ", " + say(seen),
                   "A failure taken for a list empties the channel, or tells subscribers that items are gone.",
                   "`if (!answer.ok()) return answer.failure();` before anything is read from the answer.");
    } else if ((status == 401 || status == 403 || status == 429) && seen.status != status) {
      section.find(
          when + ", " + say(seen),
          "401 and 403 tell the operator to look at the key, and 429 makes restream wait as the API asks; another "
          "status hides that.",
          "Return the API's own status: `return answer.failure();` does.");
    }
  }
  for (const Nonsense& one : nonsense(exam)) {
    const Seen seen = exam.fetch(exam.channel(), always(200, one.body, one.type));
    const std::string when = std::string("when the API answers 200 with ") + one.what;
    ++tried;
    if (seen.ended_host()) {
      crashed(section, when, seen);
    } else if (seen.kind == Seen::Kind::items && !one.may_be_empty) {
      section.find(
          when + ", " + say(seen), "What is no list must not pass for an empty one: subscribers would lose items.",
          "Fail when the answer is not of the shape that the API promises; in C++, answer.json().at(\"items\") "
          "throws by itself.");
    }
  }
  constexpr std::array<std::pair<std::int32_t, const char*>, 4> codes = {
      {{RESTREAM_UNREACHABLE, "the API is unreachable"},
       {RESTREAM_TIMEOUT, "the API does not answer in time"},
       {RESTREAM_REFUSED, "the request is refused"},
       {RESTREAM_TOO_LARGE, "the answer is too large"}}};
  for (const auto& [code, what] : codes) {
    const Seen seen = exam.fetch(exam.channel(), always_problem(code, what));
    ++tried;
    if (seen.ended_host()) {
      crashed(section, std::string("when ") + what, seen);
    } else if (seen.kind == Seen::Kind::items) {
      section.find(std::string("when ") + what + ", " + say(seen),
                   "No answer is not an empty answer: subscribers would lose items.",
                   "Return the code that http() gave you. In C++, let restream::HttpError pass.");
    }
  }
  section.note = std::to_string(tried) + " bad answers given";
  return section;
}

Section check_deadlines(Examination& exam) {
  Section section{.name = "deadlines", .note = {}, .skipped = false, .findings = {}};
  const std::string request = exam.request_for(exam.channel());

  Bench& bench = exam.bench();
  bool has_asked = false;
  const auto handle = bench.begin(HostFunction::fetch, request, Examination::call_time,
                                  [&has_asked](const HostHttpRequest&, const Reply&) { has_asked = true; });
  bench.run_until([&] { return has_asked || bench.is_done(handle); }, patience);
  bench.cancel(handle);
  const SteadyTime cancelled = std::chrono::steady_clock::now();
  const bool back = bench.run_until([&] { return bench.is_done(handle); }, patience);
  const auto took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - cancelled);
  const Seen after = exam.see(bench.finish(handle));
  if (!back || after.ended_host())
    section.find(
        "a call that is cancelled does not return within 2 seconds" +
            (after.ended_host() ? "; " + say(after) : std::string()),
        "restream cancels calls that nobody waits for, as at a shutdown; a plugin that goes on all the same is killed.",
        "Return when http() gives RESTREAM_CANCELLED; in loops, ask cancelled(). Do not try again by yourself.");

  const Seen late = exam.fetch(exam.channel(), silent(), short_deadline);
  if (late.kind == Seen::Kind::timed_out)
    section.find("when the API never answers, it does not return by the call's deadline (2 seconds here)",
                 "restreamd kills a host that passes a deadline, and every other call of the plugin is lost with it.",
                 "Return as soon as http() gives RESTREAM_TIMEOUT: its time ends before the call's. Neither sleep nor "
                 "try again.");
  else if (late.kind == Seen::Kind::crashed)
    crashed(section, "when the API never answers", late);
  else if (late.kind == Seen::Kind::items)
    section.find("when the API never answers, " + say(late),
                 "No answer is not an empty answer: subscribers would lose items.",
                 "Return the code that http() gave you. In C++, let restream::HttpError pass.");
  section.note = "back " + std::to_string(took.count()) + " ms after a cancellation";
  return section;
}

}  // namespace restream::tool
