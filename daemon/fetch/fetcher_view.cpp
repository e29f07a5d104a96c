// What people see of a fetcher. Runs on: core.
#include <nlohmann/json.hpp>

#include "fetch/fetcher_impl.hpp"
#include "fetch/quota_terms.hpp"

namespace restream {

std::pair<State, Reason> Fetcher::Impl::health() const {
  if (!settings.enabled) return {State::unavailable, Reason::disabled};
  if (ended != Reason::none) return {state_when_ended(), ended};
  if (plugin_state == PluginState::restarting) return {State::failing, Reason::plugin_crashed};
  if (!metadata || plugin_state == PluginState::loading) return {State::pending, Reason::none};
  if (!missing_keys().empty()) return {State::needs_key, Reason::missing_key};
  return {State::live, Reason::none};
}

namespace {

using json = nlohmann::ordered_json;

// What went wrong may have been said in bytes that are no text.
std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json health_json(std::pair<State, Reason> health, std::uint64_t restarts, const std::string& error) {
  const auto [state, reason] = health;
  return {{"state", text(state)},
          {"reason", reason == Reason::none ? json() : json(text(reason))},
          {"restarts", restarts},
          {"last_error", error.empty() ? json() : json(error)}};
}

json keys_json(const Metadata* metadata, const FetcherKeys& keys) {
  json presence = json::object();
  if (metadata == nullptr) return presence;
  for (const auto& [key, value] : keys) presence[key] = "unused";
  for (const std::string& key : metadata->keys) presence[key] = keys.contains(key) ? "present" : "missing";
  return presence;
}

}  // namespace

// The plugin's, or else the fetcher's own.
std::string Fetcher::Impl::error_to_show(const std::string& of_plugin) const {
  if (!of_plugin.empty()) return of_plugin;
  return end_problem.empty() ? result_problem : end_problem;
}

std::string Fetcher::Impl::describe(std::uint64_t restarts, const std::string& last_error) const {
  json entry = metadata ? json::parse(metadata->json) : json::object();
  entry["name"] = settings.name;
  entry["health"] = health_json(health(), restarts, error_to_show(last_error));
  entry["keys"] = keys_json(metadata.get(), keys);
  entry["quota"] = quota && metadata ? json::parse(quota_json(quota->view())) : json();
  entry["channels"] = polls.size();
  return dumped(entry);
}

std::string Fetcher::Impl::status_item(std::uint64_t restarts, const std::string& last_error) const {
  json item = {{"id", "fetcher/" + settings.name}, {"kind", "fetcher"}, {"name", settings.name}};
  item["health"] = health_json(health(), restarts, error_to_show(last_error));
  item["keys"] = keys_json(metadata.get(), keys);
  item["channels"] = polls.size();
  json told = metadata ? json::parse(metadata->json) : json::object();
  for (auto& [name, value] : told.items())
    if (!item.contains(name) && name != "quota") item[name] = std::move(value);
  return dumped(item);
}

}  // namespace restream
