// The configuration: YAML in, an immutable value out. Every member has the default that an empty file gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/clock.hpp"

namespace restream {

enum class SandboxMode : std::uint8_t { required, best_effort, off };

struct TlsConfig {
  std::filesystem::path certificate;
  std::filesystem::path key;
  bool operator==(const TlsConfig&) const = default;
};

struct ListenConfig {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;  // 0 picks a free one
  unsigned threads = 0;       // 0: one per core
  std::optional<TlsConfig> tls;
  std::vector<std::string> origins;
  std::vector<std::string> trusted_proxies;
  bool compression = false;  // permessage-deflate
  bool operator==(const ListenConfig&) const = default;
};

struct LimitsConfig {
  std::size_t connections = 20000;
  std::size_t connections_per_address = 1000;
  std::size_t subscriptions_per_connection = 100;
  std::size_t channels = 10000;
  std::size_t channels_per_address = 1000;
  std::size_t message_size = 64U << 10U;
  std::size_t send_queue = 1U << 20U;
  bool operator==(const LimitsConfig&) const = default;
};

struct PluginsConfig {
  std::filesystem::path directory = "/usr/lib/restream/plugins";
  std::optional<std::filesystem::path> host;
  SandboxMode sandbox = SandboxMode::required;
  Millis call_timeout{30000};
  std::uint64_t memory = 256ULL << 20U;
  bool operator==(const PluginsConfig&) const = default;
};

struct HttpConfig {
  std::optional<std::string> proxy;
  std::optional<std::filesystem::path> ca_file;
  std::string user_agent;  // default "restream/VERSION"
  std::size_t requests_per_origin = 64;
  std::size_t body = 16U << 20U;
  bool operator==(const HttpConfig&) const = default;
};

struct StateConfig {
  std::filesystem::path directory = "/var/lib/restream";
  std::uint64_t events = 1000;
  Seconds events_age{24 * 3600};
  Seconds forget{30 * 24 * 3600};
  bool operator==(const StateConfig&) const = default;
};

struct KeysConfig {
  std::filesystem::path file = "/etc/restream/keys.restream";
  // A path or credential:NAME. Nothing: the credential `master` where systemd gives one, else /etc/restream/master.key.
  std::optional<std::string> master_key;
  bool operator==(const KeysConfig&) const = default;
};

struct LogConfig {
  bool json = false;   // log.format: json, else logfmt
  bool debug = false;  // log.level: debug, else info
  bool operator==(const LogConfig&) const = default;
};

struct QuotaConfig {
  std::uint64_t calls = 0;
  Seconds per{};
  bool operator==(const QuotaConfig&) const = default;
};

// The interval follows the channel's own rate of change within these.
struct AdaptiveConfig {
  Millis min{};
  Millis max{};
  bool operator==(const AdaptiveConfig&) const = default;
};

struct FetcherConfig {
  std::string plugin;         // default: the fetcher's own name
  std::string config = "{}";  // JSON text of the free-form object
  bool enabled = true;
  std::optional<Millis> poll_interval;
  bool force_interval = false;
  std::optional<AdaptiveConfig> adaptive;
  std::optional<std::string> origin;
  bool allow_private = false;
  std::optional<QuotaConfig> quota;
  std::vector<std::vector<std::pair<std::string, std::string>>> pinned;  // params of each
  bool operator==(const FetcherConfig&) const = default;
};

struct Config {
  ListenConfig listen;
  std::optional<std::filesystem::path> tokens;  // auth.tokens
  LimitsConfig limits;
  PluginsConfig plugins;
  HttpConfig http;
  StateConfig state;
  KeysConfig keys;
  LogConfig log;
  std::map<std::string, FetcherConfig> fetchers;
};

// A refusal: `where` is "FILE:LINE" (or FILE alone when it cannot be read), `message` says what was found and what was
// expected.
struct ConfigError {
  std::string where;
  std::string message;
};

std::expected<Config, ConfigError> load_config(const std::filesystem::path& file, std::string_view version);

// As above, from text; `file` is the name in errors.
std::expected<Config, ConfigError> parse_config(const std::string& yaml, const std::string& file,
                                                std::string_view version);

}  // namespace restream
