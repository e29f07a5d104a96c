#include "fetch/status_items.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fetch/quota_terms.hpp"

namespace restream {

namespace {

using json = nlohmann::ordered_json;

constexpr unsigned step = 10;

json or_null(const std::string& text) { return text.empty() ? json() : json(text); }

// What plugins and file systems name need not be UTF-8.
std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string_view text(PluginState state) {
  switch (state) {
    case PluginState::loading:
      return "loading";
    case PluginState::ready:
      return "ready";
    case PluginState::restarting:
      return "restarting";
    case PluginState::refused:
      return "refused";
    case PluginState::held:
      return "held";
    case PluginState::removed:
      return "removed";
  }
  return "";
}

}  // namespace

ShownLeft steadied(ShownLeft shown, const QuotaView& quota) {
  const std::optional<std::uint64_t> calls = quota.limit ? std::optional(quota.limit->calls) : quota.api_limit;
  if (!calls || *calls == 0 || !quota.left) return std::nullopt;
  // Rounded up: 0 means that nothing is left.
  const auto now = static_cast<unsigned>((std::min(*quota.left, *calls) * 100 + *calls - 1) / *calls);
  if (!shown || now == 0 || now == 100) return now;
  const unsigned moved = now > *shown ? now - *shown : *shown - now;
  return moved >= step ? now : *shown;
}

std::string quota_item(const std::string& fetcher, const QuotaView& quota, ShownLeft& shown) {
  shown = steadied(shown, quota);
  const json whole = json::parse(quota_json(quota));
  return dumped({{"id", "quota/" + fetcher},
                 {"kind", "quota"},
                 {"fetcher", fetcher},
                 {"calls", whole.at("calls")},
                 {"per", whole.at("per")},
                 {"left_percent", shown ? json(*shown) : json()}});
}

std::string host_item(const HostView& host) {
  return dumped({{"id", "host/" + host.plugin},
                 {"kind", "host"},
                 {"plugin", host.plugin},
                 {"file", host.file},
                 {"state", text(host.state)},
                 {"problem", or_null(host.problem)},
                 {"refused_file", or_null(host.refusal)},
                 {"version", or_null(host.version)},
                 {"pid", host.pid == 0 ? json() : json(host.pid)},
                 {"restarts", host.restarts},
                 {"last_error", or_null(host.last_error)}});
}

std::string refused_files_json(const std::filesystem::path& directory,
                               const std::map<std::string, std::string>& refused) {
  json files = json::array();
  for (const auto& [name, reason] : refused)
    files.push_back({{"file", (directory / (name + ".so")).string()}, {"reason", reason}});
  return dumped(files);
}

}  // namespace restream
