#include "fetch/plugin_files.hpp"

#include <utility>

namespace restream {

namespace {

constexpr Millis quiet_when_finished{250};
constexpr Millis quiet_otherwise{1100};

struct Deciding {
  SteadyTime now;
  Decision out;

  // True when `wait` is over; otherwise it is looked at again then.
  bool quiet_for(const KnownFile& file, Millis wait) {
    const SteadyTime due = file.since + wait;
    if (now >= due) return true;
    if (!out.look_again || due < *out.look_again) out.look_again = due;
    return false;
  }

  void act(FileAction::Kind kind, const std::string& name, std::string reason = {}) {
    out.actions.push_back({.kind = kind, .name = name, .reason = std::move(reason)});
  }

  void judge(const std::string& name, KnownFile& file) {
    if (file.told) {
      if (file.verdict && quiet_for(file, quiet_otherwise))
        act(FileAction::Kind::refuse, name, *std::exchange(file.verdict, std::nullopt));
      return;
    }
    const bool soon = file.finished && file.problem.empty();
    if (!quiet_for(file, soon ? quiet_when_finished : quiet_otherwise)) return;
    if (!file.problem.empty()) {
      act(FileAction::Kind::refuse, name, file.problem);
    } else {
      act(file.ever_told ? FileAction::Kind::replace : FileAction::Kind::add, name);
    }
    file.told = file.ever_told = true;
  }
};

}  // namespace

Decision decide(KnownFiles known, const DirectoryView& there, const std::set<std::string>& finished, SteadyTime now,
                bool starting) {
  Deciding deciding{.now = now, .out = {}};
  if (!there.listed) {
    deciding.out.known = std::move(known);
    return std::move(deciding.out);
  }
  KnownFiles& next = deciding.out.known;
  for (const SeenFile& seen : there.files) {
    const std::string& problem = there.problem.empty() ? seen.problem : there.problem;
    KnownFile file{.stamp = seen.stamp, .problem = problem, .since = now};
    if (starting) file.since = now - quiet_otherwise;
    if (auto before = known.extract(seen.name)) {
      KnownFile& old = before.mapped();
      if (old.stamp == seen.stamp && old.problem == problem) {
        file = std::move(old);  // nothing happened, or it was away for a moment
        file.gone = false;
      } else {
        file.ever_told = old.ever_told;
      }
    }
    if (finished.contains(seen.name)) file.finished = true;
    next.emplace(seen.name, std::move(file));
  }
  for (auto& [name, file] : known) {
    if (!file.gone) file.since = now;
    file.gone = true;
    if (!deciding.quiet_for(file, quiet_when_finished)) {
      next.emplace(name, std::move(file));
    } else if (file.ever_told) {
      deciding.act(FileAction::Kind::remove, name);
    }
  }
  for (auto& [name, file] : next)
    if (!file.gone) deciding.judge(name, file);
  return std::move(deciding.out);
}

std::optional<SteadyTime> remember_verdict(KnownFiles& known, const std::string& name, std::string reason) {
  const auto found = known.find(name);
  if (found == known.end() || found->second.gone || !found->second.told) return std::nullopt;
  found->second.verdict = std::move(reason);
  return found->second.since + quiet_otherwise;
}

}  // namespace restream
