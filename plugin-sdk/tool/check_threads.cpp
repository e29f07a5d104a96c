// Many calls at once. All of them stand at http() together and go on in another order than they came, so that whatever
// a plugin keeps outside of its call meets what another call put there.
#include <algorithm>
#include <map>
#include <random>

#include "tool/examination.hpp"

namespace restream::tool {

namespace {

constexpr std::size_t calls_at_once = 64;
constexpr int rounds = 6;
constexpr Millis time_to_gather{500};
constexpr Millis call_time{20000};

// What one call is to do.
struct Part {
  std::string request;
  bool good = false;  // answered from the recording; else with a 500
  std::string asks;   // what it asks for when it is alone
};

struct Held {
  const Part* part = nullptr;
  Upstream answer;
  HostHttpRequest asked;
  Reply reply;
};

std::string text_of(const std::vector<HostHttpRequest>& asked) {
  std::string text;
  for (const HostHttpRequest& one : asked) text += one.method + " " + one.url + " " + one.body + "\n";
  return text;
}

// Another credential of the same plugin: two fetchers may share it.
KeyValues other_keys(const KeyValues& keys) {
  KeyValues other;
  for (const auto& [name, value] : keys) other[name] = "of-another-fetcher-" + name + "-9a8b7c6d";
  return other;
}

Upstream failing() { return always(500, R"({"error": "a made-up failure"})"); }

class Crowd {
 public:
  Crowd(Examination& exam, Section& section) : exam_(exam), section_(section) {}

  // False when the plugin cannot be judged, or is judged already.
  bool prepare() {
    if (exam_.recording) {
      // Items that change by themselves are a finding of `repeats` already; here they would look like another fault.
      const Seen alone = exam_.fetch(exam_.channel(), good());
      if (alone.kind == Seen::Kind::items) reference_ = alone;
      const Seen again = exam_.fetch(exam_.channel(), good());
      if (again.kind != Seen::Kind::items || (reference_ && !same_items(again))) reference_.reset();
    }
    for (const ChannelId& channel : exam_.channels) {
      if (!add(exam_.request_for(channel))) return false;
      if (!exam_.keys.empty() && !add(exam_.request_for(channel, other_keys(exam_.keys)))) return false;
    }
    if (reference_)
      parts_.push_back(
          {.request = exam_.request_for(exam_.channel()), .good = true, .asks = text_of(reference_->result.asked)});
    return true;
  }

  // One round; false when there is a finding.
  bool run(std::mt19937& engine) {
    Bench& bench = exam_.bench();
    std::vector<Held> held;
    std::vector<std::pair<Bench::Handle, const Part*>> calls;
    for (std::size_t i = 0; i < calls_at_once; ++i) {
      const Part& part = part_of(i);
      auto answer = part.good ? good() : failing();
      calls.emplace_back(bench.begin(HostFunction::fetch, part.request, call_time,
                                     [&held, &part, answer](const HostHttpRequest& asked, const Reply& reply) {
                                       held.push_back({&part, answer, asked, reply});
                                     }),
                         &part);
    }
    const auto open = [&] {
      return static_cast<std::size_t>(
          std::ranges::count_if(calls, [&](const auto& call) { return !bench.is_done(call.first); }));
    };
    while (open() > 0 && !bench.ended()) {
      bench.run_until([&] { return held.size() >= open() || bench.ended(); }, time_to_gather);
      std::ranges::shuffle(held, engine);
      for (const Held& one : std::exchange(held, {})) one.answer(one.asked, one.reply);
      if (held.empty()) bench.run_until([&] { return !held.empty() || open() == 0 || bench.ended(); }, time_to_gather);
    }
    bool fine = true;
    for (const auto& [handle, part] : calls) {
      const Seen seen = exam_.see(bench.finish(handle));
      if (fine) fine = judge(*part, seen);
    }
    return fine;
  }

 private:
  Upstream good() const { return Replay(*exam_.recording, exam_.redactor).same_call(); }

  // Half of the calls are good ones, where there are any.
  const Part& part_of(std::size_t i) const {
    if (reference_ && i % 2 == 0) return parts_.back();
    const std::size_t others = parts_.size() - (reference_ ? 1 : 0);
    return parts_[i / (reference_ ? 2 : 1) % others];
  }

  // Asked alone, twice: what differs by itself (a time, a nonce) proves nothing.
  bool add(const std::string& request) {
    std::string asks;
    for (int round = 0; round < 2; ++round) {
      const Seen alone = exam_.fetch_text(request, failing());
      if (alone.ended_host()) {
        section_.skipped = true;
        section_.note = "one call alone ends the host already";
        return false;
      }
      const std::string now = text_of(alone.result.asked);
      if (round == 0) asks = now;
      if (now != asks) asks.clear();
    }
    parts_.push_back({.request = request, .good = false, .asks = asks});
    return true;
  }

  bool judge(const Part& part, const Seen& seen) {
    const std::string mend =
        "Use nothing outside of the call: no globals or statics that change, no functions that keep a buffer (strtok, "
        "localtime, strerror). A table that is made once must be const, or made before the first call.";
    if (seen.kind == Seen::Kind::crashed) {
      section_.find("with " + std::to_string(calls_at_once) + " calls at once, " + say(seen),
                    "restream runs many calls of one plugin at once; a crash loses all of them.", mend);
      return false;
    }
    if (seen.kind == Seen::Kind::timed_out) {
      section_.find("with " + std::to_string(calls_at_once) + " calls at once, one did not return within 20 seconds",
                    "restream runs many calls of one plugin at once; one that waits for another may wait for ever.",
                    mend);
      return false;
    }
    if (!part.asks.empty() && text_of(seen.result.asked) != part.asks) {
      const auto [now, alone] = difference(text_of(seen.result.asked), part.asks);
      section_.find("with many calls at once, one asked for what another was to ask for: \"" +
                        exam_.redactor.redact(now) + "\" instead of \"" + exam_.redactor.redact(alone) + "\"",
                    "Subscribers of one channel would get items of another, or a request bear another fetcher's key.",
                    mend);
      return false;
    }
    if (part.good && (seen.kind != Seen::Kind::items || !same_items(seen))) {
      section_.find("with many calls at once, the same params and the same answer do not give the same items: " +
                        say(seen) + ", alone " + say(*reference_),
                    "Subscribers of one channel would get items, or failures, of another.", mend);
      return false;
    }
    if (!part.good && seen.kind == Seen::Kind::items) {
      section_.find("with many calls at once, one whose request failed " + say(seen).substr(3),
                    "Subscribers of one channel would get items of another.", mend);
      return false;
    }
    return true;
  }

  [[nodiscard]] bool same_items(const Seen& seen) const {
    return std::ranges::equal(
        seen.sliced.items, reference_->sliced.items, [&](const SlicedItem& a, const SlicedItem& b) {
          return a.id == b.id &&
                 content_fingerprint(a.json, exam_.rules()) == content_fingerprint(b.json, exam_.rules());
        });
  }

  // The first lines that differ.
  static std::pair<std::string, std::string> difference(const std::string& a, const std::string& b) {
    std::size_t at = 0;
    while (at < a.size() && at < b.size()) {
      const std::string line = a.substr(at, a.find('\n', at) - at);
      if (line != b.substr(at, b.find('\n', at) - at)) break;
      at += line.size() + 1;
    }
    const auto line_of = [at](const std::string& text) {
      return at >= text.size() ? "nothing more" : text.substr(at, text.find('\n', at) - at);
    };
    return {line_of(a), line_of(b)};
  }

  Examination& exam_;
  Section& section_;
  std::optional<Seen> reference_;
  std::vector<Part> parts_;  // the good one, where there is one, is the last
};

}  // namespace

Section check_threads(Examination& exam) {
  Section section{.name = "threads", .note = {}, .skipped = false, .findings = {}};
  Crowd crowd(exam, section);
  if (!crowd.prepare()) return section;
  // The same disorder every time: a finding can be found again.
  std::mt19937 engine(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
  int done = 0;
  while (done < rounds && crowd.run(engine)) ++done;
  section.note = std::to_string(calls_at_once) + " calls at once, " + std::to_string(exam.channels.size()) +
                 " channels, " + std::to_string(rounds) + " times" +
                 (exam.recording ? "" : "; with a recording more could be seen");
  return section;
}

}  // namespace restream::tool
