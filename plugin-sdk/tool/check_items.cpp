// What a plugin makes of a good answer: items, their ids, and the same again for the same answer.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "tool/examination.hpp"

namespace restream::tool {

using nlohmann::json;

namespace {

Section skipped(const char* name) {
  return {.name = name,
          .note =
              "no recording: make one with `restream-plugin try FILE.so --record F`, give it with --replay F; or use "
              "--live",
          .skipped = true,
          .findings = {}};
}

Seen replay(Examination& exam) {
  return exam.fetch(exam.channel(), Replay(*exam.recording, exam.redactor).same_call());
}

void check_pointers(Section& section, const std::vector<std::string>& pointers, const char* field,
                    const Sliced& sliced) {
  for (const std::string& pointer : pointers) {
    const bool found = std::ranges::any_of(sliced.items, [&](const SlicedItem& item) {
      const json parsed = json::parse(item.json, nullptr, false);
      return parsed.contains(json::json_pointer(pointer));
    });
    if (!found)
      section.find(std::string(field) + " names " + pointer + ", which no item of the recording has",
                   "Then it has no effect, and what it was meant for is told as a change.",
                   "Write JSON pointers from the item's root, such as /stats/views.");
  }
}

}  // namespace

Section check_items(Examination& exam) {
  if (!exam.recording) return skipped("items");
  Section section{.name = "items", .note = {}, .skipped = false, .findings = {}};
  exam.collect_lines(true);
  const std::size_t lines_before = exam.lines.size();
  exam.first = replay(exam);
  const Seen& seen = *exam.first;
  const Sliced& sliced = seen.sliced;
  if (seen.kind != Seen::Kind::items) {
    exam.collect_lines(true);
    section.find(
        "with the recording's answers, " + say(seen) +
            (exam.lines.size() == lines_before ? "" : "; its last line: " + exam.lines.back().text),
        "A good answer must become items.",
        "See `restream-plugin try FILE.so --replay F`. When the recording itself is of a failure, or of other params, "
        "record again.");
    return section;
  }
  section.note = std::to_string(sliced.items.size()) + " of the recording";
  const std::string& id_field = exam.subject.metadata.id_field;
  if (sliced.items.empty() && sliced.skipped == 0)
    section.find("there are no items", "A channel without items never tells anybody anything.",
                 "Return the list that the API sent; when the recording is of an empty list, record another one.");
  if (sliced.skipped > 0)
    section.find(
        std::to_string(sliced.skipped) + " items have no id at '" + id_field + "'",
        "Items without an id are skipped; when over half of them have none, the poll fails.",
        "Name the member that every item has and that never changes: a string or a whole number. A nested one is "
        "a JSON pointer, /meta/id.");
  if (sliced.repeated > 0)
    section.find(std::to_string(sliced.repeated) + " items have an id at '" + id_field + "' that another one has too",
                 "Of two items with one id only the last one is told.",
                 "Choose an id_field that tells all items apart.");
  check_pointers(section, exam.subject.metadata.ignore, "ignore", sliced);
  check_pointers(section, exam.subject.metadata.unordered, "unordered", sliced);
  return section;
}

Section check_repeats(Examination& exam) {
  if (!exam.recording) return skipped("repeats");
  Section section{
      .name = "repeats", .note = "the same answer thrice, with failures between", .skipped = false, .findings = {}};
  if (!exam.first || exam.first->kind != Seen::Kind::items) {
    section.skipped = true;
    section.note = "there are no items to compare";
    return section;
  }
  const Seen& first = *exam.first;
  for (int round = 0; round < 2; ++round) {
    for (const ChannelId& other : exam.channels) static_cast<void>(exam.fetch(other, always(500, "{}")));
    const Seen again = replay(exam);
    if (again.kind != first.kind) {
      section.find("asked again with the same answers, " + say(again),
                   "When the API says that nothing has changed (304), the "
                   "plugin gets the same body again.",
                   "Keep nothing between calls: no globals that change, no statics.");
      return section;
    }
    if (again.result.output == first.result.output) continue;
    const auto& before = first.sliced.items;
    const auto& after = again.sliced.items;
    const bool same_ids = std::ranges::equal(before, after, {}, &SlicedItem::id, &SlicedItem::id);
    if (!same_ids) {
      section.find("the same answer gave items with other ids, or in another order, the second time (" +
                       std::to_string(before.size()) + " and " + std::to_string(after.size()) + " items)",
                   "Subscribers would be told of items that are not new, again and again.",
                   "Keep nothing between calls, and take the id from the API rather than counting or drawing one.");
      return section;
    }
    std::string example;
    for (std::size_t i = 0; i < before.size() && example.empty(); ++i)
      if (content_fingerprint(before[i].json, exam.rules()) != content_fingerprint(after[i].json, exam.rules()))
        example = "item " + before[i].id + " by " + make_patch(before[i].json, after[i].json);
    if (!example.empty()) {
      section.find(
          "the same answer gave other items the second time: " + exam.redactor.redact(example),
          "Every poll would be an update for every subscriber.",
          "Return what the API sent: no time of the poll, no counter, nothing drawn at random. What the API itself "
          "changes all the time belongs into `ignore`.");
      return section;
    }
  }
  return section;
}

Section check_output(Examination& exam) {
  Section section{.name = "output", .note = {}, .skipped = false, .findings = {}};
  exam.collect_lines(true);
  std::size_t printed = 0;
  std::string example;
  for (const BenchLine& line : exam.lines) {
    if (line.source == LogSource::plugin) continue;
    if (printed++ == 0) example = line.text.substr(0, 120);
  }
  section.note = std::to_string(exam.lines.size() - printed) + " lines logged, " + std::to_string(printed) + " printed";
  if (printed > 0)
    section.find("it prints: " + std::to_string(printed) + " lines in this check, the first is \"" + example + "\"",
                 "What a plugin prints goes to restreamd's log without a level, at every poll of every channel.",
                 "Take it out, or use context.log(RESTREAM_DEBUG, …) (C: call->log).");
  return section;
}

Section check_keys(Examination& exam) {
  Section section{.name = "keys", .note = {}, .skipped = false, .findings = {}};
  if (exam.keys.empty()) {
    section.note = "it needs none";
    return section;
  }
  section.note = "looked for in " + std::to_string(exam.lines.size()) + " lines and every result";
  std::ranges::sort(exam.leaks);
  const auto repeated = std::ranges::unique(exam.leaks);
  exam.leaks.erase(repeated.begin(), repeated.end());
  for (const std::string& where : exam.leaks)
    section.find("the value of a key is in " + where,
                 "Log lines and results are read by people who must not have the key.",
                 "Hand keys to the API alone. Do not log URLs that hold one, nor put them into messages.");
  const bool used = std::ranges::any_of(exam.asked, [&](const HostHttpRequest& request) {
    const auto has = [&](const std::string& text) { return exam.redactor.redact(text) != text; };
    return has(request.url) || has(request.body) || std::ranges::any_of(request.headers, [&](const auto& header) {
             return has(header.second) || header.first == "authorization" || header.first == "Authorization";
           });
  });
  if (!used)
    section.find("it declares keys and no request shows one",
                 "Operators are asked for keys that nobody needs; until they are set, the fetcher does nothing.",
                 "Take from `keys` what is not used.");
  return section;
}

}  // namespace restream::tool
