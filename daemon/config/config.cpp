#include "config/config.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <system_error>

#include "config/json_text.hpp"
#include "config/scalar.hpp"
#include "config/yaml_value.hpp"
#include "model/built_in.hpp"

namespace restream {

namespace {

using namespace std::chrono_literals;

constexpr std::uintmax_t max_file_size = 1U << 20U;
constexpr std::uint64_t kib = 1U << 10U;
constexpr std::uint64_t mib = 1U << 20U;
constexpr std::uint64_t gib = 1U << 30U;
constexpr Seconds year{365 * 24 * 3600};

void read_listen(const Mapping& in, ListenConfig& out) {
  in.allow_only({"address", "port", "threads", "tls", "origins", "trusted_proxies", "compression"});
  if (const auto value = in.find("address")) {
    out.address = value->text("an IP address");
    if (!is_ip_address(out.address)) value->expected("an IP address such as 127.0.0.1, 0.0.0.0 or ::1");
  }
  if (const auto value = in.find("port")) out.port = static_cast<std::uint16_t>(value->whole(0, 65535));
  if (const auto value = in.find("threads")) out.threads = static_cast<unsigned>(value->whole(0, 256));
  if (const auto value = in.find("compression")) out.compression = value->flag();
  if (const auto value = in.find("tls")) {
    const Mapping tls(*value);
    tls.allow_only({"certificate", "key"});
    out.tls =
        TlsConfig{.certificate = tls.required("certificate").text("a path"), .key = tls.required("key").text("a path")};
  }
  if (const auto value = in.find("origins")) {
    for (const Value& one : value->list()) {
      out.origins.push_back(one.text("an origin"));
      if (out.origins.back() != "*" && !is_origin(out.origins.back()))
        one.expected("an origin such as https://app.example.com, without a path, or \"*\" for any");
    }
  }
  if (const auto value = in.find("trusted_proxies")) {
    for (const Value& one : value->list()) {
      out.trusted_proxies.push_back(one.text("an address or network"));
      if (!is_network(out.trusted_proxies.back())) one.expected("an address or network such as 10.0.0.1 or 10.0.0.0/8");
    }
  }
}

void read_limits(const Mapping& in, LimitsConfig& out) {
  in.allow_only({"connections", "connections_per_address", "subscriptions_per_connection", "channels",
                 "channels_per_address", "message_size", "send_queue"});
  const auto count = [&in](std::string_view key, std::size_t& number) {
    if (const auto value = in.find(key)) number = value->whole(1, 1'000'000);
  };
  count("connections", out.connections);
  count("connections_per_address", out.connections_per_address);
  count("subscriptions_per_connection", out.subscriptions_per_connection);
  count("channels", out.channels);
  count("channels_per_address", out.channels_per_address);
  if (const auto value = in.find("message_size")) out.message_size = value->size(1 * kib, 16 * mib);
  if (const auto value = in.find("send_queue")) out.send_queue = value->size(4 * kib, 1 * gib);
}

void read_plugins(const Mapping& in, PluginsConfig& out) {
  in.allow_only({"directory", "host", "sandbox", "call_timeout", "memory"});
  if (const auto value = in.find("directory")) out.directory = value->text("a path");
  if (const auto value = in.find("host")) out.host = value->text("a path");
  if (const auto value = in.find("sandbox")) {
    // Unquoted, `off` is what YAML 1.1 calls false; here it is the word.
    const std::string word = value->text("required, best-effort or off");
    if (word != "required" && word != "best-effort" && word != "off") value->expected("required, best-effort or off");
    out.sandbox = word == "required"      ? SandboxMode::required
                  : word == "best-effort" ? SandboxMode::best_effort
                                          : SandboxMode::off;
  }
  if (const auto value = in.find("call_timeout")) out.call_timeout = value->duration(100ms, 10min);
  if (const auto value = in.find("memory")) out.memory = value->size(16 * mib, 64 * gib);
}

void read_http(const Mapping& in, HttpConfig& out) {
  in.allow_only({"proxy", "ca_file", "user_agent", "requests_per_origin", "body"});
  if (const auto value = in.find("proxy")) {
    const std::string url = value->text("a URL");
    constexpr std::string_view schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    // The value is not shown: it may hold a password.
    if (std::ranges::none_of(schemes, [&url](std::string_view one) { return url.starts_with(one) && url != one; }))
      value->refuse("must be a URL that begins with http://, https://, socks5:// or socks5h://");
    out.proxy = url;
  }
  if (const auto value = in.find("ca_file")) out.ca_file = value->text("a path");
  if (const auto value = in.find("user_agent")) out.user_agent = value->text();
  if (const auto value = in.find("requests_per_origin")) out.requests_per_origin = value->whole(1, 10'000);
  if (const auto value = in.find("body")) out.body = value->size(1 * kib, 256 * mib);
}

void read_state(const Mapping& in, StateConfig& out) {
  in.allow_only({"directory", "events", "events_age", "forget"});
  if (const auto value = in.find("directory")) out.directory = value->text("a path");
  if (const auto value = in.find("events")) out.events = value->whole(1, 1'000'000);
  if (const auto value = in.find("events_age")) out.events_age = value->seconds(1s, year);
  if (const auto value = in.find("forget")) out.forget = value->seconds(1s, 10 * year);
}

void read_keys(const Mapping& in, KeysConfig& out) {
  in.allow_only({"file", "master_key"});
  if (const auto value = in.find("file")) out.file = value->text("a path");
  if (const auto value = in.find("master_key")) {
    out.master_key = value->text("a path or credential:NAME");
    if (out.master_key == "credential:") value->expected("a path or credential:NAME");
    if (out.master_key == "passphrase")
      value->refuse("a passphrase is for restream-keys alone; the daemon needs a path or credential:NAME");
  }
}

void read_log(const Mapping& in, LogConfig& out) {
  in.allow_only({"format", "level"});
  if (const auto value = in.find("format")) {
    const std::string word = value->text("logfmt or json");
    if (word != "logfmt" && word != "json") value->expected("logfmt or json");
    out.json = word == "json";
  }
  if (const auto value = in.find("level")) {
    const std::string word = value->text("info or debug");
    if (word != "info" && word != "debug") value->expected("info or debug");
    out.debug = word == "debug";
  }
}

QuotaConfig read_quota(const Mapping& in) {
  in.allow_only({"calls", "per"});
  QuotaConfig quota;
  quota.calls = in.required("calls").whole(1, 1'000'000'000);
  const Value per = in.required("per");
  const std::string word = per.text("second, minute, hour or day");
  if (word == "second") quota.per = 1s;
  if (word == "minute") quota.per = 1min;
  if (word == "hour") quota.per = 1h;
  if (word == "day") quota.per = 24h;
  if (quota.per == 0s) per.expected("second, minute, hour or day");
  return quota;
}

AdaptiveConfig read_adaptive(const Mapping& in) {
  in.allow_only({"min", "max"});
  AdaptiveConfig adaptive;
  adaptive.min = in.required("min").duration(10ms, 30 * 24h);
  const Value max = in.required("max");
  adaptive.max = max.duration(10ms, 30 * 24h);
  if (adaptive.max < adaptive.min) max.expected("a duration that is not below min");
  return adaptive;
}

FetcherConfig read_fetcher(const std::string& name, const Mapping& in) {
  in.allow_only({"plugin", "config", "enabled", "poll_interval", "force_interval", "origin", "allow_private", "quota",
                 "pinned", "adaptive"});
  FetcherConfig out;
  out.plugin = name;
  if (const auto value = in.find("plugin")) {
    out.plugin = value->text("a plugin's name");
    if (!is_fetcher_name(out.plugin)) value->expected("a plugin's name: lower-case letters, digits and hyphens");
    if (out.plugin == built_in_fetcher) value->expected("a plugin's name; this one is the daemon's own");
  }
  if (const auto value = in.find("config")) out.config = json_object(*value);
  if (const auto value = in.find("enabled")) out.enabled = value->flag();
  if (const auto value = in.find("poll_interval")) out.poll_interval = value->duration(10ms, 30 * 24h);
  if (const auto value = in.find("force_interval")) out.force_interval = value->flag();
  if (const auto value = in.find("adaptive")) out.adaptive = read_adaptive(Mapping(*value));
  if (const auto value = in.find("origin")) {
    out.origin = value->text("an origin");
    if (!is_origin(*out.origin)) value->expected("an origin such as http://127.0.0.1:9000, without a path");
  }
  if (const auto value = in.find("allow_private")) out.allow_private = value->flag();
  if (const auto value = in.find("quota")) out.quota = read_quota(Mapping(*value));
  if (const auto value = in.find("pinned")) {
    for (const Value& one : value->list()) {
      if (!one.node.IsMap()) one.expected("a mapping of params, {} for none");
      auto& params = out.pinned.emplace_back();
      const Mapping mapping(one);
      for (const auto& [param, text] : mapping.members()) params.emplace_back(param, param_text(text));
    }
  }
  return out;
}

void read_fetchers(const Mapping& in, std::map<std::string, FetcherConfig>& out) {
  for (const auto& [name, value] : in.members()) {
    if (!is_fetcher_name(name))
      throw Refusal{value.line, "fetchers: '" + name +
                                    "' is no fetcher's name: lower-case letters, digits and hyphens, not first, at "
                                    "most 64"};
    if (name == built_in_fetcher)
      throw Refusal{value.line, "fetchers: '" + name +
                                    "' is the daemon's own fetcher, which takes no configuration; choose another name"};
    out.emplace(name, read_fetcher(name, Mapping(value)));
  }
}

Config read_config(const Mapping& in, std::string_view version) {
  in.allow_only({"listen", "auth", "limits", "plugins", "http", "state", "keys", "log", "fetchers"});
  Config out;
  out.http.user_agent = "restream/" + std::string(version);
  if (const auto value = in.find("listen")) read_listen(Mapping(*value), out.listen);
  if (const auto value = in.find("auth")) {
    const Mapping auth(*value);
    auth.allow_only({"tokens"});
    if (const auto tokens = auth.find("tokens")) out.tokens = tokens->text("a path");
  }
  if (const auto value = in.find("limits")) read_limits(Mapping(*value), out.limits);
  if (const auto value = in.find("plugins")) read_plugins(Mapping(*value), out.plugins);
  if (const auto value = in.find("http")) read_http(Mapping(*value), out.http);
  if (const auto value = in.find("state")) read_state(Mapping(*value), out.state);
  if (const auto value = in.find("keys")) read_keys(Mapping(*value), out.keys);
  if (const auto value = in.find("log")) read_log(Mapping(*value), out.log);
  if (const auto value = in.find("fetchers")) read_fetchers(Mapping(*value), out.fetchers);
  return out;
}

}  // namespace

std::expected<Config, ConfigError> parse_config(const std::string& yaml, const std::string& file,
                                                std::string_view version) {
  try {
    const std::optional<Value> document = read_document(yaml);
    return read_config(Mapping(document ? *document : Value{}), version);
  } catch (const Refusal& refusal) {
    const std::string where = refusal.line > 0 ? file + ":" + std::to_string(refusal.line) : file;
    return std::unexpected(ConfigError{.where = where, .message = refusal.message});
  }
}

std::expected<Config, ConfigError> load_config(const std::filesystem::path& file, std::string_view version) {
  const auto fail = [&file](std::string message) {
    return std::unexpected(ConfigError{.where = file.string(), .message = std::move(message)});
  };
  std::error_code code;
  if (std::filesystem::is_directory(file, code)) return fail("is a directory; a YAML file is expected");
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return fail("cannot be read: " + std::string(std::strerror(errno)) + "; name another file with --config FILE");
  // Read with a bound, not up to a size that was asked before: the file may be a pipe, or /dev/zero.
  std::string yaml(max_file_size + 1, '\0');
  in.read(yaml.data(), static_cast<std::streamsize>(yaml.size()));
  if (in.bad()) return fail("cannot be read: " + std::string(std::strerror(errno)));
  yaml.resize(static_cast<std::size_t>(in.gcount()));
  if (yaml.size() > max_file_size) return fail("is larger than 1 MiB; that is no configuration");
  return parse_config(yaml, file.string(), version);
}

}  // namespace restream
