#include "fetch/fetchers.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "config/scalar.hpp"
#include "fetch/plugin_directory.hpp"
#include "fetch/plugin_slot.hpp"
#include "fetch/status_items.hpp"
#include "fetch/status_source.hpp"
#include "model/built_in.hpp"

namespace restream {

namespace {

FetcherSettings settings_of(const std::string& name, const FetcherConfig& config, Millis call_timeout) {
  return {.name = name,
          .plugin = config.plugin.empty() ? name : config.plugin,
          .config = config.config,
          .enabled = config.enabled,
          .poll_interval = config.poll_interval,
          .force_interval = config.force_interval,
          .adaptive =
              config.adaptive ? std::optional(AdaptiveRange{config.adaptive->min, config.adaptive->max}) : std::nullopt,
          .connect_to = config.origin.value_or(""),
          .allow_private = config.allow_private,
          .call_timeout = call_timeout,
          .quota = config.quota ? std::optional(QuotaLimit{config.quota->calls, config.quota->per}) : std::nullopt};
}

// Eight digits, so that a search finds a poll's lines and nothing else.
std::string poll_name(std::uint32_t number) {
  std::array<char, 9> text{};
  std::snprintf(text.data(), text.size(), "%08x", number);
  return text.data();
}

}  // namespace

struct Fetchers::Impl {
  struct Entry {
    std::string plugin;
    std::unique_ptr<Fetcher> fetcher;
    bool dismissed = false;  // the configuration has it no more, and no plugin bears its name
  };
  struct BuiltIn {
    StatusSource source;
    Fetcher fetcher;
  };

  Impl(Plugin::Surroundings given, const Config& configuration, std::filesystem::path host_program,
       FetcherHooks given_hooks)
      : around(std::move(given)),
        config(configuration),
        host(std::move(host_program)),
        hooks(std::move(given_hooks)),
        polls(static_cast<std::uint32_t>(around.random() * 0x1p32)),
        directory({.io = around.io, .loop = around.loop, .clock = around.clock, .log = around.log},
                  config.plugins.directory, [this](const FileAction& action) { act(action); }) {
    for (const auto& [name, settings] : config.fetchers) add_fetcher(name, settings);
  }

  // A fetcher as any other, but that its calls go to a source in the daemon, and that it counts against no quota.
  void build_in(std::function<std::string()> items) {
    FetcherHooks own = hooks;
    own.name_poll = [this] { return poll_name(polls++); };
    own.call = [this](PluginCall call) { built_in->source.call(std::move(call)); };
    own.cancel = [this](const std::string&) { return built_in->source.cancel(); };
    own.join_quota = nullptr;
    const std::string name(built_in_fetcher);
    // NOLINTNEXTLINE(modernize-make-unique): neither part can be moved to where it would be made.
    built_in.reset(new BuiltIn{.source = StatusSource(around.loop, around.clock, std::move(items)),
                               .fetcher = Fetcher({.name = name, .plugin = name}, around.clock, around.loop,
                                                  around.random, around.log, std::move(own))});
  }

  [[nodiscard]] std::filesystem::path file_of(const std::string& plugin) const {
    return config.plugins.directory / (plugin + ".so");
  }

  void add_fetcher(const std::string& name, const FetcherConfig& settings) {
    const std::string plugin = settings.plugin.empty() ? name : settings.plugin;
    FetcherHooks own = hooks;
    own.name_poll = [this] { return poll_name(polls++); };
    own.call = [this, name](PluginCall call) { slots.at(fetchers.at(name).plugin)->call(std::move(call)); };
    own.cancel = [this, name](const std::string& poll) {
      const auto slot = slots.find(fetchers.at(name).plugin);
      return slot != slots.end() && slot->second->cancel(poll);
    };
    auto fetcher = std::make_unique<Fetcher>(settings_of(name, settings, config.plugins.call_timeout), around.clock,
                                             around.loop, around.random, around.log, std::move(own));
    if (const auto found = keys.find(name); found != keys.end()) fetcher->set_keys(found->second);
    fetchers.emplace(name, Entry{plugin, std::move(fetcher)});
  }

  [[nodiscard]] std::vector<Fetcher*> users_of(const std::string& plugin) const {
    std::vector<Fetcher*> users;
    for (const auto& [name, entry] : fetchers)
      if (entry.plugin == plugin && !entry.dismissed) users.push_back(entry.fetcher.get());
    return users;
  }

  PluginSlot& slot_of(const std::string& plugin) {
    if (const auto found = slots.find(plugin); found != slots.end()) return *found->second;
    PluginSlot::Hooks own;
    own.fetchers = [this, plugin] {
      std::vector<Fetcher*> users = users_of(plugin);
      std::erase_if(users, [](const Fetcher* user) { return !user->enabled(); });
      return users;
    };
    own.changed = [this, plugin] { plugin_changed(plugin); };
    own.failed = [this, plugin](const std::string& reason) { directory.failed(plugin, reason); };
    HostOptions options{.host = host,
                        .plugin = file_of(plugin),
                        .name = plugin,
                        .memory = config.plugins.memory,
                        .sandbox = config.plugins.sandbox};
    return *slots.emplace(plugin, std::make_shared<PluginSlot>(around, std::move(options), std::move(own)))
                .first->second;
  }

  void plugin_changed(const std::string& plugin) {
    const PluginSlot& changed = *slots.at(plugin);
    for (Fetcher* user : users_of(plugin)) user->plugin_changed(changed.state(), changed.problem());
  }

  // A file that can be no fetcher's, whatever is in it.
  void refuse_name(const FileAction& action) {
    if (action.kind == FileAction::Kind::remove) {
      misnamed.erase(action.name);
      return;
    }
    const std::string reason = action.name == built_in_fetcher
                                   ? "the name '" + action.name + "' is that of the daemon's own fetcher"
                                   : action.reason;
    if (reason.empty()) return;
    misnamed[action.name] = reason;
    around.log.error("plugin refused", {{"file", file_of(action.name).string()}, {"reason", reason}});
  }

  void act(const FileAction& action) {
    if (!is_fetcher_name(action.name) || action.name == built_in_fetcher) return refuse_name(action);
    if (action.kind == FileAction::Kind::remove) return remove(action.name);
    if (!fetchers.contains(action.name)) add_fetcher(action.name, {});
    PluginSlot& slot = slot_of(action.name);
    if (action.kind == FileAction::Kind::refuse) return slot.refuse(action.reason);
    if (users_of(action.name).empty())
      return slot.refuse("the configuration gives the fetcher '" + action.name + "' to the plugin " +
                         fetchers.at(action.name).plugin + ".so");
    slot.load();
  }

  void reconfigure(const Config& next) {
    const Millis call_timeout = std::exchange(config.plugins.call_timeout, next.plugins.call_timeout);
    const std::map<std::string, FetcherConfig> before = std::exchange(config.fetchers, next.fetchers);
    for (auto& [name, entry] : fetchers) {
      const auto was = before.find(name);
      const auto is = config.fetchers.find(name);
      const FetcherConfig old = was == before.end() ? FetcherConfig{} : was->second;
      const FetcherConfig now = is == config.fetchers.end() ? FetcherConfig{} : is->second;
      if (is == config.fetchers.end() && !slots.contains(name)) {
        if (!std::exchange(entry.dismissed, true)) entry.fetcher->dismiss();
        continue;
      }
      const bool returns = std::exchange(entry.dismissed, false);
      if (!returns && old == now && call_timeout == config.plugins.call_timeout) continue;
      entry.plugin = now.plugin.empty() ? name : now.plugin;
      entry.fetcher->reconfigure(settings_of(name, now, config.plugins.call_timeout));
      introduce(name);
    }
    for (const auto& [name, settings] : config.fetchers)
      if (!fetchers.contains(name)) {
        add_fetcher(name, settings);
        introduce(name);
      }
  }

  // The fetcher's plugin, as it is now, introduces itself.
  void introduce(const std::string& name) {
    const Entry& entry = fetchers.at(name);
    const auto slot = slots.find(entry.plugin);
    if (slot == slots.end()) return tell_missing(entry);
    // Nobody used it, so it was not even tried; or it may like the new configuration better.
    if (slot->second->state() == PluginState::refused && directory.may_load(entry.plugin)) slot->second->load();
    slot->second->introduce_to_newcomers();
    if (slot->second->state() != PluginState::ready)
      entry.fetcher->plugin_changed(slot->second->state(), slot->second->problem());
  }

  void tell_missing(const Entry& entry) const {
    entry.fetcher->plugin_changed(PluginState::removed,
                                  "there is no " + entry.plugin + ".so in " + config.plugins.directory.string());
  }

  void remove(const std::string& plugin) {
    slot_of(plugin).remove();
    // What never was a fetcher leaves nothing behind.
    const auto found = fetchers.find(plugin);
    if (found == fetchers.end() || config.fetchers.contains(plugin) || found->second.fetcher->metadata()) return;
    fetchers.erase(found);
    slots.erase(plugin);
    hooks.settled();
  }

  void start() {
    if (built_in) {
      built_in->fetcher.adopt(StatusSource::introduction());
      built_in->fetcher.plugin_changed(PluginState::ready, {});
    }
    directory.start();
    for (const auto& [name, entry] : fetchers)
      if (!slots.contains(entry.plugin)) tell_missing(entry);
  }

  [[nodiscard]] std::string describe(const Entry& entry) const {
    const auto slot = slots.find(entry.plugin);
    if (slot == slots.end()) return entry.fetcher->describe(0, {});
    return entry.fetcher->describe(slot->second->restarts(), slot->second->last_error());
  }

  // By name; "plugin file": why it does not serve.
  [[nodiscard]] std::map<std::string, std::string> refused_files() const {
    std::map<std::string, std::string> files = misnamed;
    for (const auto& [name, slot] : slots)
      if (std::string reason = slot->refusal(); !reason.empty()) files.emplace(name, std::move(reason));
    return files;
  }

  std::vector<std::string> status_items() {
    std::vector<std::string> items;
    for (const auto& [name, entry] : fetchers) {
      const auto slot = slots.find(entry.plugin);
      items.push_back(slot == slots.end()
                          ? entry.fetcher->status_item(0, {})
                          : entry.fetcher->status_item(slot->second->restarts(), slot->second->last_error()));
    }
    for (const auto& [name, entry] : fetchers)
      if (const auto view = entry.fetcher->quota(); view && (view->limit || view->left))
        items.push_back(quota_item(name, *view, shown_left[name]));
    for (const auto& [name, slot] : slots)
      items.push_back(host_item({.plugin = name,
                                 .file = file_of(name).string(),
                                 .state = slot->state(),
                                 .problem = slot->problem(),
                                 .refusal = slot->refusal(),
                                 .version = slot->version(),
                                 .pid = slot->pid(),
                                 .restarts = slot->restarts(),
                                 .last_error = slot->last_error()}));
    for (const auto& [name, reason] : misnamed)
      items.push_back(host_item({.plugin = name,
                                 .file = file_of(name).string(),
                                 .state = PluginState::refused,
                                 .problem = reason,
                                 .refusal = reason}));
    return items;
  }

  Plugin::Surroundings around;
  Config config;
  std::filesystem::path host;
  FetcherHooks hooks;
  KeyValues keys;  // of fetchers to come, too
  std::map<std::string, Entry> fetchers;
  std::map<std::string, std::shared_ptr<PluginSlot>> slots;
  std::map<std::string, std::string> misnamed;  // files that no fetcher's name is for, and why they are refused
  std::unique_ptr<BuiltIn> built_in;            // null: there is none
  std::map<std::string, ShownLeft> shown_left;  // of each fetcher's quota
  std::uint32_t polls;  // begins anywhere, so that the log of one start is not taken for that of another
  PluginDirectory directory;
};

Fetchers::Fetchers(Plugin::Surroundings surroundings, const Config& config, std::filesystem::path host,
                   FetcherHooks hooks)
    : impl_(std::make_unique<Impl>(std::move(surroundings), config, std::move(host), std::move(hooks))) {}
Fetchers::~Fetchers() = default;

void Fetchers::build_in(std::function<std::string()> items) { impl_->build_in(std::move(items)); }
std::vector<std::string> Fetchers::status_items() { return impl_->status_items(); }
void Fetchers::start() { impl_->start(); }
void Fetchers::reconfigure(const Config& config) { impl_->reconfigure(config); }
void Fetchers::rescan() { impl_->directory.rescan(); }

void Fetchers::set_keys(const KeyValues& keys) {
  impl_->keys = keys;
  for (const auto& [name, entry] : impl_->fetchers) {
    const auto found = keys.find(name);
    entry.fetcher->set_keys(found == keys.end() ? FetcherKeys() : found->second);
  }
}

Fetcher* Fetchers::find(const std::string& name) {
  if (impl_->built_in && name == built_in_fetcher) return &impl_->built_in->fetcher;
  const auto found = impl_->fetchers.find(name);
  return found == impl_->fetchers.end() ? nullptr : found->second.fetcher.get();
}

bool Fetchers::settled() const {
  return std::ranges::all_of(impl_->fetchers, [](const auto& one) { return one.second.fetcher->settled(); });
}

std::expected<void, std::string> Fetchers::release(const std::string& fetcher) {
  const auto found = impl_->fetchers.find(fetcher);
  if (found == impl_->fetchers.end()) return std::unexpected("there is no fetcher '" + fetcher + "'");
  const auto slot = impl_->slots.find(found->second.plugin);
  if (slot == impl_->slots.end() || slot->second->state() != PluginState::held)
    return std::unexpected("the plugin of '" + fetcher + "' is not held");
  slot->second->load();
  return {};
}

void Fetchers::write_metrics(MetricsText& out) const {
  using Type = MetricsText::Type;
  out.family("polls_total", Type::counter, "Polls by how they ended: ok, or the reason that subscribers heard.");
  for (const auto& [name, entry] : impl_->fetchers)
    for (const auto& [reason, count] : entry.fetcher->counts().polls)
      out.sample(count, {{"fetcher", name}, {"outcome", reason == Reason::none ? "ok" : text(reason)}});
  out.family("poll_seconds", Type::histogram, "Time in the plugin and in its requests, of one poll.");
  for (const auto& [name, entry] : impl_->fetchers) out.sample(entry.fetcher->counts().seconds, {{"fetcher", name}});
  out.family("items_skipped_total", Type::counter, "Items left out because they had no id, in each poll anew.");
  for (const auto& [name, entry] : impl_->fetchers) out.sample(entry.fetcher->counts().skipped, {{"fetcher", name}});
  out.family("items_repeated_total", Type::counter, "Items whose id a poll's result held twice, in each poll anew.");
  for (const auto& [name, entry] : impl_->fetchers) out.sample(entry.fetcher->counts().repeated, {{"fetcher", name}});
  out.family("quota_left", Type::gauge, "Calls that the quota still allows.");
  for (const auto& [name, entry] : impl_->fetchers)
    if (const auto quota = entry.fetcher->quota(); quota && quota->left) out.sample(*quota->left, {{"fetcher", name}});
  out.family("quota_limit", Type::gauge, "Calls of which quota_left is what is left.");
  for (const auto& [name, entry] : impl_->fetchers)
    if (const auto quota = entry.fetcher->quota(); quota && quota->left_of)
      out.sample(*quota->left_of, {{"fetcher", name}});
  out.family("plugin_calls_waiting", Type::gauge, "Calls that wait for a place in their plugin's process.");
  for (const auto& [name, slot] : impl_->slots) out.sample(std::uint64_t{slot->waiting()}, {{"plugin", name}});
  out.family("host_restarts_total", Type::counter, "Times that a plugin's process was started again.");
  for (const auto& [name, slot] : impl_->slots) out.sample(slot->restarts(), {{"plugin", name}});
}

std::string Fetchers::to_do() const {
  if (impl_->fetchers.empty()) return "put a plugin into " + impl_->config.plugins.directory.string();
  std::string first;
  for (const auto& [name, entry] : impl_->fetchers) {
    const std::string key = entry.fetcher->missing_key();
    if (key.empty()) return {};  // one that works: the others may be there for nothing
    if (first.empty()) first = impl_->hooks.set_key(name, key);
  }
  return first;
}

std::string Fetchers::summary() const {
  std::size_t channels = 0;
  for (const auto& [_, entry] : impl_->fetchers) channels += entry.fetcher->channels();
  return std::to_string(impl_->fetchers.size()) + " fetchers, " + std::to_string(channels) + " channels polled";
}

std::optional<std::string> Fetchers::describe(const std::optional<std::string>& name) const {
  const Fetcher* const own = impl_->built_in ? &impl_->built_in->fetcher : nullptr;
  if (name) {
    if (own != nullptr && *name == built_in_fetcher) return own->describe(0, {});
    const auto found = impl_->fetchers.find(*name);
    if (found == impl_->fetchers.end()) return std::nullopt;
    return impl_->describe(found->second);
  }
  std::string out = R"({"fetchers":[)";
  for (const auto& [_, entry] : impl_->fetchers) {
    if (out.back() != '[') out += ',';
    out += impl_->describe(entry);
  }
  if (own != nullptr) (out += out.back() == '[' ? "" : ",") += own->describe(0, {});
  out += R"(],"refused_files":)";
  return out + refused_files_json(impl_->config.plugins.directory, impl_->refused_files()) + "}";
}

}  // namespace restream
