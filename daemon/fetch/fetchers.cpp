#include "fetch/fetchers.hpp"

#include <algorithm>
#include <utility>

#include "config/scalar.hpp"
#include "fetch/plugin_directory.hpp"
#include "fetch/plugin_slot.hpp"

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

}  // namespace

struct Fetchers::Impl {
  struct Entry {
    std::string plugin;
    std::unique_ptr<Fetcher> fetcher;
    bool dismissed = false;  // the configuration has it no more, and no plugin bears its name
  };

  Impl(Plugin::Surroundings given, const Config& configuration, std::filesystem::path host_program,
       FetcherHooks given_hooks)
      : around(std::move(given)),
        config(configuration),
        host(std::move(host_program)),
        hooks(std::move(given_hooks)),
        directory({.io = around.io, .loop = around.loop, .clock = around.clock, .log = around.log},
                  config.plugins.directory, [this](const FileAction& action) { act(action); }) {
    for (const auto& [name, settings] : config.fetchers) add_fetcher(name, settings);
  }

  [[nodiscard]] std::filesystem::path file_of(const std::string& plugin) const {
    return config.plugins.directory / (plugin + ".so");
  }

  void add_fetcher(const std::string& name, const FetcherConfig& settings) {
    const std::string plugin = settings.plugin.empty() ? name : settings.plugin;
    FetcherHooks own = hooks;
    own.call = [this, name](PluginCall call) { slots.at(fetchers.at(name).plugin)->call(std::move(call)); };
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

  void act(const FileAction& action) {
    if (!is_fetcher_name(action.name)) {
      if (action.kind == FileAction::Kind::refuse)
        around.log.error("plugin refused", {{"file", file_of(action.name).string()}, {"reason", action.reason}});
      return;
    }
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
    // Nobody used it, so it was not even tried.
    if (slot->second->state() == PluginState::refused) slot->second->load();
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
    directory.start();
    for (const auto& [name, entry] : fetchers)
      if (!slots.contains(entry.plugin)) tell_missing(entry);
  }

  [[nodiscard]] std::string describe(const Entry& entry) const {
    const auto slot = slots.find(entry.plugin);
    if (slot == slots.end()) return entry.fetcher->describe(0, {});
    return entry.fetcher->describe(slot->second->restarts(), slot->second->last_error());
  }

  Plugin::Surroundings around;
  Config config;
  std::filesystem::path host;
  FetcherHooks hooks;
  KeyValues keys;  // of fetchers to come, too
  std::map<std::string, Entry> fetchers;
  std::map<std::string, std::shared_ptr<PluginSlot>> slots;
  PluginDirectory directory;
};

Fetchers::Fetchers(Plugin::Surroundings surroundings, const Config& config, std::filesystem::path host,
                   FetcherHooks hooks)
    : impl_(std::make_unique<Impl>(std::move(surroundings), config, std::move(host), std::move(hooks))) {}
Fetchers::~Fetchers() = default;

void Fetchers::start() { impl_->start(); }
void Fetchers::reconfigure(const Config& config) { impl_->reconfigure(config); }
void Fetchers::rescan() { impl_->directory.rescan(); }

void Fetchers::set_keys(const KeyValues& keys) {
  impl_->keys = keys;
  for (const auto& [name, entry] : impl_->fetchers) {
    const auto found = keys.find(name);
    entry.fetcher->set_keys(found == keys.end() ? std::map<std::string, std::string>() : found->second);
  }
}

Fetcher* Fetchers::find(const std::string& name) {
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
  out.family("quota_left", Type::gauge, "Calls that the quota still allows.");
  for (const auto& [name, entry] : impl_->fetchers)
    if (const auto left = entry.fetcher->quota_left()) out.sample(*left, {{"fetcher", name}});
  out.family("host_restarts_total", Type::counter, "Times that a plugin's process was started again.");
  for (const auto& [name, slot] : impl_->slots) out.sample(slot->restarts(), {{"plugin", name}});
}

std::string Fetchers::to_do() const {
  if (impl_->fetchers.empty()) return "put a plugin into " + impl_->config.plugins.directory.string();
  std::string first;
  for (const auto& [name, entry] : impl_->fetchers) {
    const std::string key = entry.fetcher->missing_key();
    if (key.empty()) return {};  // one that works: the others may be there for nothing
    if (first.empty()) first = "restream-keys set " + name + " " + key;
  }
  return first;
}

std::string Fetchers::summary() const {
  std::size_t channels = 0;
  for (const auto& [_, entry] : impl_->fetchers) channels += entry.fetcher->channels();
  return std::to_string(impl_->fetchers.size()) + " fetchers, " + std::to_string(channels) + " channels polled";
}

std::optional<std::string> Fetchers::describe(const std::optional<std::string>& name) const {
  if (name) {
    const auto found = impl_->fetchers.find(*name);
    if (found == impl_->fetchers.end()) return std::nullopt;
    return impl_->describe(found->second);
  }
  std::string out = R"({"fetchers":[)";
  for (const auto& [_, entry] : impl_->fetchers) {
    if (out.back() != '[') out += ',';
    out += impl_->describe(entry);
  }
  return out + "]}";
}

}  // namespace restream
