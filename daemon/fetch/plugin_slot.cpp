#include "fetch/plugin_slot.hpp"

#include <algorithm>
#include <utility>

namespace restream {

namespace {

std::string label_of(const std::string& version) { return version.empty() ? "no version" : version.substr(0, 64); }

}  // namespace

struct PluginSlot::Version {
  std::uint64_t number = 0;
  std::unique_ptr<Plugin> plugin;
  bool introduced = false;
  std::string label;  // metadata's `version`
};

// Every fetcher's question to one version, and what came back.
struct PluginSlot::Round {
  std::uint64_t number = 0;
  Asked asked;
  std::size_t waiting = 0;
  std::vector<std::pair<Fetcher*, Introduced>> answers;
};

PluginSlot::PluginSlot(Plugin::Surroundings surroundings, HostOptions options, Hooks hooks)
    : around_(std::move(surroundings)), options_(std::move(options)), hooks_(std::move(hooks)) {}
PluginSlot::~PluginSlot() = default;

std::unique_ptr<PluginSlot::Version> PluginSlot::make_version() {
  auto version = std::make_unique<Version>();
  version->number = ++last_number_;
  version->plugin = std::make_unique<Plugin>(around_, options_, [weak = weak_from_this(), number = version->number] {
    if (const auto self = weak.lock()) self->on_changed(number);
  });
  return version;
}

// Destroyed by way of the loop, because this may be one of its own callbacks.
void PluginSlot::drop(std::unique_ptr<Version> version) {
  if (!version) return;
  version->plugin->stop();
  around_.loop.post([old = std::shared_ptr<Version>(std::move(version))] {});
}

PluginSlot::Version* PluginSlot::find(std::uint64_t number) {
  if (candidate_ && candidate_->number == number) return candidate_.get();
  return current_ && current_->number == number ? current_.get() : nullptr;
}

// Also while its host is started again.
bool PluginSlot::serving() const {
  if (!current_ || !current_->introduced) return false;
  const PluginState state = current_->plugin->state();
  return state != PluginState::held && state != PluginState::refused;
}

// --- what became of the file

void PluginSlot::load() {
  drop(std::move(candidate_));
  refused_newer_.clear();
  auto version = make_version();
  Plugin& plugin = *version->plugin;
  if (serving()) {
    plugin.set_on_trial(true);
    candidate_ = std::move(version);
  } else {
    drop(std::move(current_));
    current_ = std::move(version);
    hooks_.changed();
  }
  plugin.start();
}

void PluginSlot::refuse(const std::string& reason) {
  drop(std::move(candidate_));
  const std::string version = label_of(std::exchange(refused_version_, {}));
  if (serving()) {
    refused_newer_ = "the file was replaced by one that is refused: " + reason;
    around_.log.error("plugin file refused; the version before it goes on serving",
                      {{"plugin", options_.name},
                       {"file", options_.plugin.string()},
                       {"reason", reason},
                       {"refused", version},
                       {"serving", label_of(current_->label)}});
    return;
  }
  drop(std::move(current_));
  without_ = PluginState::refused;
  problem_ = reason;
  around_.log.error(
      "plugin refused",
      {{"plugin", options_.name}, {"file", options_.plugin.string()}, {"reason", reason}, {"version", version}});
  hooks_.changed();
}

void PluginSlot::remove() {
  drop(std::move(candidate_));
  drop(std::move(current_));
  refused_newer_.clear();
  without_ = PluginState::removed;
  problem_ = "its file " + options_.plugin.string() + " was removed";
  around_.log.warning("plugin removed", {{"plugin", options_.name}, {"file", options_.plugin.string()}});
  hooks_.changed();
}

// --- what became of a version

void PluginSlot::on_changed(std::uint64_t number) {
  Version* version = find(number);
  if (version == nullptr) return;
  const PluginState state = version->plugin->state();
  if (state == PluginState::ready && !version->introduced) return introduce(*version);
  if (state == PluginState::refused) return fail(number, version->plugin->problem(), {});
  if (version != current_.get()) return;
  hooks_.changed();
  introduce_to_newcomers();
}

// --- introductions

PluginSlot::Asked PluginSlot::to_be_asked() const {
  Asked asked;
  for (Fetcher* fetcher : hooks_.fetchers()) asked.emplace_back(fetcher, fetcher->settings_number());
  return asked;
}

void PluginSlot::introduce(Version& version) {
  const auto round = std::make_shared<Round>();
  round->number = version.number;
  round->asked = to_be_asked();
  round->waiting = round->asked.size();
  if (round->asked.empty()) return take_over(*round);  // all of them are disabled: nothing to ask
  for (const auto& [fetcher, settings] : round->asked)
    fetcher->ask([&version](PluginCall call) { version.plugin->call(std::move(call)); },
                 [weak = weak_from_this(), round, fetcher](Introduced answer) {
                   round->answers.emplace_back(fetcher, std::move(answer));
                   const auto self = weak.lock();
                   if (--round->waiting == 0 && self) self->judge(*round);
                 });
}

// One configuration that a plugin does not like is no reason to refuse it to the others; but nobody whom a version
// serves is to lose by the next one.
void PluginSlot::judge(const Round& round) {
  Version* version = find(round.number);
  if (version == nullptr) return;
  // The configuration changed under way: what was said under the one before it counts for nobody.
  if (round.asked != to_be_asked()) return introduce(*version);
  const bool is_candidate = version == candidate_.get();
  bool any_good = false;
  bool any_loses = false;
  const NoIntroduction* bad = nullptr;
  for (const auto& [fetcher, answer] : round.answers) {
    any_good = any_good || answer.has_value();
    if (answer) continue;
    if (answer.error().lost) return;  // the end of the host is told by on_changed()
    bad = &answer.error();
    any_loses = any_loses || (is_candidate && fetcher->works());
  }
  if (bad != nullptr && (!any_good || any_loses)) return fail(round.number, bad->reason, bad->version);
  take_over(round);
}

void PluginSlot::introduce_to_newcomers() {
  if (!current_ || !current_->introduced || current_->plugin->state() != PluginState::ready)
    return;  // they will be asked
  for (Fetcher* fetcher : hooks_.fetchers())
    if (fetcher->is_newcomer())
      fetcher->ask([this](PluginCall call) { current_->plugin->call(std::move(call)); },
                   [weak = weak_from_this(), fetcher, number = current_->number,
                    settings = fetcher->settings_number()](Introduced answer) {
                     const auto self = weak.lock();
                     if (!self || !self->current_ || self->current_->number != number) return;
                     // Configured anew since, or given to another plugin: then it was asked again, or is to be.
                     if (std::ranges::count(self->to_be_asked(), std::pair(fetcher, settings)) == 0) return;
                     if (answer) {
                       self->current_->label = answer->metadata->version;
                       fetcher->adopt(std::move(*answer));
                     } else if (!answer.error().lost) {
                       fetcher->refuse(answer.error().reason);
                     } else {
                       return;
                     }
                     self->hooks_.changed();
                   });
}

void PluginSlot::take_over(const Round& round) {
  std::unique_ptr<Version> old;
  if (candidate_ && candidate_->number == round.number) {
    old = std::exchange(current_, std::move(candidate_));
    current_->plugin->set_on_trial(false);
  }
  current_->introduced = true;
  current_->plugin->keep();
  for (const auto& [fetcher, answer] : round.answers)
    if (answer) current_->label = answer->metadata->version;
  if (old) {
    around_.log.info("plugin replaced", {{"plugin", options_.name},
                                         {"file", options_.plugin.string()},
                                         {"from", label_of(old->label)},
                                         {"to", label_of(current_->label)}});
    Version* leaving = old.get();
    retiring_.push_back(std::move(old));
    leaving->plugin->retire([weak = weak_from_this(), leaving] {
      if (const auto self = weak.lock())
        std::erase_if(self->retiring_, [leaving](const auto& one) { return one.get() == leaving; });
    });
  } else {
    around_.log.info(
        "plugin serves",
        {{"plugin", options_.name}, {"file", options_.plugin.string()}, {"version", label_of(current_->label)}});
  }
  for (const auto& [fetcher, answer] : round.answers) {
    if (answer) {
      fetcher->adopt(*answer);
    } else {
      fetcher->refuse(answer.error().reason);
    }
  }
  hooks_.changed();
  introduce_to_newcomers();
}

void PluginSlot::fail(std::uint64_t number, const std::string& reason, const std::string& version) {
  refused_version_ = version;
  if (candidate_ && candidate_->number == number) {
    drop(std::move(candidate_));
  } else {
    drop(std::move(current_));
    without_ = PluginState::loading;
    problem_ = reason;
    hooks_.changed();
  }
  hooks_.failed(reason);
}

// --- for the fetchers

void PluginSlot::call(PluginCall call) {
  if (serving()) return current_->plugin->call(std::move(call));
  PluginReply reply;
  reply.kind = PluginReply::Kind::retry;
  reply.problem = problem();
  around_.loop.post([done = std::move(call.done), reply = std::move(reply)]() mutable { done(std::move(reply)); });
}

bool PluginSlot::cancel(const std::string& poll) {
  if (current_ && current_->plugin->cancel(poll)) return true;
  return std::ranges::any_of(retiring_, [&](const auto& version) { return version->plugin->cancel(poll); });
}

PluginState PluginSlot::state() const {
  if (!current_) return without_;
  const PluginState state = current_->plugin->state();
  return state == PluginState::ready && !current_->introduced ? PluginState::loading : state;
}

std::string PluginSlot::problem() const {
  if (!current_) return problem_;
  if (state() == PluginState::loading) return "it is being loaded";
  return current_->plugin->problem();
}

std::uint64_t PluginSlot::restarts() const { return current_ ? current_->plugin->restarts() : 0; }
std::size_t PluginSlot::waiting() const { return current_ ? current_->plugin->waiting() : 0; }

std::string PluginSlot::refusal() const {
  if (serving()) return refused_newer_;
  return !current_ && without_ == PluginState::refused ? problem_ : std::string();
}

int PluginSlot::pid() const { return current_ ? current_->plugin->pid() : 0; }
std::string PluginSlot::version() const { return current_ ? current_->label : std::string(); }

std::string PluginSlot::last_error() const {
  if (serving() && !refused_newer_.empty()) return refused_newer_;
  if (!current_) return without_ == PluginState::loading ? std::string() : problem_;
  return current_->plugin->last_error();
}

}  // namespace restream
