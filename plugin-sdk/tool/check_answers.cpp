// What a plugin makes of answers that no recording holds: failures, nonsense, silence.
#include <restream/fetcher.h>

#include <array>

#include "tool/examination.hpp"

namespace restream::tool {

namespace {

constexpr Millis patience{2000};  // for a call that was cancelled
constexpr Millis short_deadline{2000};
constexpr std::size_t most_hangs = 3;

// The cases that ended alike, so that one mistake is one finding.
struct Alike {
  std::vector<std::string> cases;
  std::string first;  // how the first of them ended

  void add(const std::string& when, const Seen& seen) {
    if (cases.empty()) first = say(seen);
    cases.push_back(when);
  }
  [[nodiscard]] std::string text() const {
    std::string list;
    for (const std::string& one : cases) list += (list.empty() ? "" : ", ") + one;
    return "when the API answers " + list + ": " + first + (cases.size() > 1 ? ", in the first of these cases" : "");
  }
};

constexpr const char* crash_why =
    "The poll fails as `plugin_crashed` or `plugin_timeout`, and every other call of the plugin with it.";
constexpr const char* empty_why =
    "A failure taken for a list empties the channel, or tells subscribers that items are gone.";

struct Nonsense {
  const char* what;
  std::string body;
  const char* type;
  bool may_be_empty;  // an honest plugin may take it for "no items"
};

// An answer as it should be, or an empty list.
std::string good_body(const Examination& exam) {
  if (exam.recording)
    for (const Exchange& one : exam.recording->exchanges)
      if (one.result && one.result->body.size() > 1) return one.result->body;
  return "[]";
}

std::vector<Nonsense> nonsense(const Examination& exam) {
  std::string half = good_body(exam);
  half = half.size() > 2 ? half.substr(0, half.size() / 2) : R"({"items": [{"id": "1", "ti)";
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
  Alike crashes, failures, hidden, nonsenses, silences;
  std::size_t tried = 0;
  std::size_t hangs = 0;
  const auto give = [&](const std::string& when, const Upstream& upstream, Alike* taken_for_items) {
    if (hangs >= most_hangs) return Seen{};  // each costs its full time, and what is wrong is clear
    const Seen seen = exam.fetch(exam.channel(), upstream);
    ++tried;
    if (seen.kind == Seen::Kind::timed_out) ++hangs;
    if (seen.ended_host()) crashes.add(when, seen);
    if (seen.kind == Seen::Kind::items && taken_for_items != nullptr) taken_for_items->add(when, seen);
    return seen;
  };
  for (const int status : {400, 401, 403, 404, 429, 500, 503}) {
    const std::string when = std::to_string(status);
    const Seen seen = give(when, always(status, R"({"error": "a made-up failure"})"), &failures);
    const bool matters = status == 401 || status == 403 || status == 429;
    if (matters && seen.kind != Seen::Kind::items && !seen.ended_host() && seen.status != status)
      hidden.add(when, seen);
  }
  give("500 with a list for its body", always(500, good_body(exam)), &failures);
  for (const Nonsense& one : nonsense(exam))
    give(std::string("200 with ") + one.what, always(200, one.body, one.type), one.may_be_empty ? nullptr : &nonsenses);
  constexpr std::array<std::pair<std::int32_t, const char*>, 4> codes = {{{RESTREAM_UNREACHABLE, "unreachable"},
                                                                          {RESTREAM_TIMEOUT, "timed out"},
                                                                          {RESTREAM_REFUSED, "refused"},
                                                                          {RESTREAM_TOO_LARGE, "too large"}}};
  for (const auto& [code, what] : codes)
    give(std::string("not at all (") + what + ")", always_problem(code, what), &silences);

  if (!crashes.cases.empty())
    section.find(crashes.text(), crash_why,
                 "Check what the API sent before you use it: the answer may be anything, or none. Do not try again by "
                 "yourself; restream does, at the next poll.");
  if (!failures.cases.empty())
    section.find(failures.text(), empty_why,
                 "`if (!answer.ok()) return answer.failure();` before anything is read from the answer.");
  if (!hidden.cases.empty())
    section.find(
        hidden.text(),
        "401 and 403 tell the operator to look at the key, and 429 makes restream wait as the API asks; another "
        "status hides that.",
        "Return the API's own status: `return answer.failure();` does.");
  if (!nonsenses.cases.empty())
    section.find(nonsenses.text(), empty_why,
                 "Fail when the answer is not of the shape that the API promises; in C++, answer.json().at(\"items\") "
                 "throws by itself.");
  if (!silences.cases.empty())
    section.find(silences.text(), empty_why,
                 "Return the code that http() gave you. In C++, let restream::HttpError pass.");
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
    section.find("when the API never answers, " + say(late), crash_why,
                 "Return when http() does not give RESTREAM_OK.");
  else if (late.kind == Seen::Kind::items)
    section.find("when the API never answers, " + say(late),
                 "No answer is not an empty answer: subscribers would lose items.",
                 "Return the code that http() gave you. In C++, let restream::HttpError pass.");
  section.note = "back " + std::to_string(took.count()) + " ms after a cancellation";
  return section;
}

}  // namespace restream::tool
