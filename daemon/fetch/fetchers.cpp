#include "fetch/fetchers.hpp"

#include <algorithm>
#include <system_error>

namespace restream {

namespace {

FetcherSettings settings_of(const std::string& name, const FetcherConfig& config, Millis call_timeout) {
  return {.name = name,
          .plugin = config.plugin.empty() ? name : config.plugin,
          .config = config.config,
          .enabled = config.enabled,
          .poll_interval = config.poll_interval,
          .force_interval = config.force_interval,
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
  };

  void add_fetcher(const std::string& name, const FetcherConfig& settings) {
    const std::string plugin = settings.plugin.empty() ? name : settings.plugin;
    FetcherHooks own = hooks;
    own.call = [this, plugin](PluginCall call) { plugins.at(plugin)->call(std::move(call)); };
    fetchers.emplace(name, Entry{plugin, std::make_unique<Fetcher>(
                                             settings_of(name, settings, config.plugins.call_timeout), around.clock,
                                             around.loop, around.random, around.log, std::move(own))});
  }

  void plugin_changed(const std::string& plugin) {
    const Plugin& changed = *plugins.at(plugin);
    for (const auto& [name, entry] : fetchers)
      if (entry.plugin == plugin) entry.fetcher->plugin_changed(changed.state(), changed.problem());
  }

  std::expected<void, std::string> start() {
    std::error_code failed;
    std::filesystem::directory_iterator files(config.plugins.directory, failed);
    if (failed)
      return std::unexpected("plugins.directory: cannot read " + config.plugins.directory.string() + ": " +
                             failed.message() + "; make it, or name another one in the configuration");
    for (const auto& file : files) {
      if (file.path().extension() != ".so") continue;
      const std::string name = file.path().stem().string();
      if (!std::filesystem::is_regular_file(file.symlink_status())) {
        around.log.error("plugin refused", {{"file", file.path().string()}, {"reason", "it is not a regular file"}});
        continue;
      }
      HostOptions options{.host = host, .plugin = file.path(), .name = name, .memory = config.plugins.memory};
      plugins.emplace(name,
                      std::make_unique<Plugin>(around, std::move(options), [this, name] { plugin_changed(name); }));
    }
    for (const auto& [name, settings] : config.fetchers) add_fetcher(name, settings);
    for (const auto& [name, plugin] : plugins)
      if (!fetchers.contains(name)) add_fetcher(name, {});
    for (const auto& [name, entry] : fetchers)
      if (!plugins.contains(entry.plugin))
        entry.fetcher->plugin_changed(PluginState::refused,
                                      "there is no " + entry.plugin + ".so in " + config.plugins.directory.string());
    for (const auto& [name, plugin] : plugins) plugin->start();
    return {};
  }

  std::string describe(const Entry& entry) const {
    const auto plugin = plugins.find(entry.plugin);
    if (plugin == plugins.end()) return entry.fetcher->describe(0, {});
    return entry.fetcher->describe(plugin->second->restarts(), plugin->second->last_error());
  }

  Plugin::Surroundings around;
  Config config;
  std::filesystem::path host;
  FetcherHooks hooks;
  std::map<std::string, std::unique_ptr<Plugin>> plugins;
  std::map<std::string, Entry> fetchers;
};

Fetchers::Fetchers(Plugin::Surroundings surroundings, const Config& config, std::filesystem::path host,
                   FetcherHooks hooks)
    : impl_(new Impl{.around = std::move(surroundings),
                     .config = config,
                     .host = std::move(host),
                     .hooks = std::move(hooks),
                     .plugins = {},
                     .fetchers = {}}) {}
Fetchers::~Fetchers() = default;

std::expected<void, std::string> Fetchers::start() { return impl_->start(); }

void Fetchers::set_keys(const KeyValues& keys) {
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
