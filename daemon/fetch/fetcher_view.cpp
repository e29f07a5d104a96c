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

std::string Fetcher::Impl::describe(std::uint64_t restarts, const std::string& last_error) const {
  using json = nlohmann::ordered_json;
  json entry = metadata ? json::parse(metadata->json) : json::object();
  entry["name"] = settings.name;
  const auto [state, reason] = health();
  const std::string& own_error = end_problem.empty() ? result_problem : end_problem;
  const std::string& error = last_error.empty() ? own_error : last_error;
  entry["health"] = {{"state", text(state)},
                     {"reason", reason == Reason::none ? json() : json(text(reason))},
                     {"restarts", restarts},
                     {"last_error", error.empty() ? json() : json(error)}};
  json presence = json::object();
  if (metadata) {
    for (const auto& [key, value] : keys) presence[key] = "unused";
    for (const std::string& key : metadata->keys) presence[key] = keys.contains(key) ? "present" : "missing";
  }
  entry["keys"] = std::move(presence);
  entry["quota"] = quota && metadata ? json::parse(quota_json(quota->view())) : json();
  entry["channels"] = polls.size();
  return entry.dump();
}

}  // namespace restream
