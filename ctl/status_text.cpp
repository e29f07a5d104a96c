#include "status_text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "keys/shell_word.hpp"
#include "ops/utf8.hpp"

namespace {

using nlohmann::json;
using restream::printable;
using restream::keys::shell_word;
using Row = std::vector<std::string>;

std::string word(const json& object, const char* name, const std::string& otherwise = "-") {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return otherwise;
  return printable(found->is_string() ? found->get<std::string>() : found->dump());
}

// Columns as wide as their widest cell; the last one as it comes.
std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      out += i + 1 < row.size() ? row[i] + std::string(widths[i] - row[i].size() + 2, ' ') : row[i];
    out += '\n';
  }
  return out;
}

std::string duration(std::int64_t seconds) {
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min";
  if (seconds < 86400) return std::to_string(seconds / 3600) + " h " + std::to_string(seconds % 3600 / 60) + " min";
  return std::to_string(seconds / 86400) + " d " + std::to_string(seconds % 86400 / 3600) + " h";
}

std::string quota_of(const json& fetcher) {
  const auto found = fetcher.find("quota");
  if (found == fetcher.end() || !found->is_object()) return "-";
  const std::string limit = word(*found, "calls") + "/" + word(*found, "per");
  const std::string left = word(*found, "left", "");
  return left.empty() ? limit : left + " of " + limit;
}

// What to do about it, or else what went wrong last.
std::string note_of(const json& fetcher, const std::string& name, const std::string& keys_command,
                    const std::string& command) {
  if (const auto keys = fetcher.find("keys"); keys != fetcher.end())
    for (const auto& [key, state] : keys->items())
      if (state == "missing") return "set its key: " + keys_command + " set " + name + " " + printable(shell_word(key));
  const json& health = fetcher.at("health");
  if (word(health, "reason") == "held") return "it crashed too often: " + command + " release " + name;
  return word(health, "last_error", "");
}

std::string time_of(const json& object, const char* name) {
  const std::string text = word(object, name);
  const std::size_t t = text.find('T');
  return t == std::string::npos ? text : text.substr(t + 1, 8) + "Z";
}

}  // namespace

std::string status_text(const nlohmann::json& status, const std::string& command) {
  std::string out = "restream " + word(status, "version") + ", pid " + word(status, "pid") + ", up " +
                    duration(status.value("uptime", std::int64_t{0})) + ", " + word(status, "address") + ", " +
                    (status.value("ready", false) ? "ready" : "not ready: " + word(status, "reason")) + "\n\n";
  std::vector<Row> fetchers{{"FETCHER", "STATE", "CHANNELS", "RESTARTS", "QUOTA", "NOTE"}};
  for (const json& one : status.at("fetchers")) {
    const json& health = one.at("health");
    const std::string name = word(one, "name");
    fetchers.push_back({name, word(health, "state"), word(one, "channels"), word(health, "restarts"), quota_of(one),
                        note_of(one, name, word(status, "keys_command", "restream-keys"), command)});
  }
  out += fetchers.size() > 1 ? table(fetchers) : "no fetchers: drop a plugin into the plugins directory\n";
  std::vector<Row> channels{{"CHANNEL", "STATE", "ITEMS", "SUBSCRIBERS", "LAST POLL", "NEXT POLL"}};
  for (const json& one : status.at("channels"))
    channels.push_back({word(one, "id"), word(one, "state"), word(one, "items"), word(one, "subscribers"),
                        time_of(one, "last_poll"), time_of(one, "next_poll")});
  if (channels.size() > 1) out += "\n" + table(channels);
  return out;
}
