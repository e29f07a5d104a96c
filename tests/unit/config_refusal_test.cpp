// What is refused, on which line, and in which words.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/config.hpp"

using namespace restream;

namespace {

struct Case {
  std::string yaml;
  int line;
  std::string message;  // a part of it
};

void check_refused(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    INFO(one.yaml);
    const std::expected<Config, ConfigError> config = parse_config(one.yaml, "t.yaml", "1");
    if (config) {
      FAIL_CHECK("accepted");
      continue;
    }
    INFO(config.error().where << ": " << config.error().message);
    CHECK(config.error().where == "t.yaml:" + std::to_string(one.line));
    CHECK_THAT(config.error().message, Catch::Contains(one.message));
  }
}

// `value` for one key of a section, on line 3.
Case bad(const std::string& section, const std::string& key, const std::string& value, const std::string& message) {
  return {section + ":\n\n  " + key + ": " + value + "\n", 3, message};
}

Case bad_fetcher(const std::string& key, const std::string& value, const std::string& message) {
  return {"fetchers:\n  a-b:\n    " + key + ": " + value + "\n", 3, message};
}

}  // namespace

TEST_CASE("unknown keys are refused with the nearest known one") {
  check_refused({
      {"lisen:\n", 1, "unknown key 'lisen'; did you mean 'listen'?"},
      {"listen:\n  prot: 80\n", 2, "unknown key 'prot' in listen; did you mean 'port'?"},
      {"listen:\n  port: 80\n  trusted-proxies: []\n", 3, "did you mean 'trusted_proxies'?"},
      {"listen: {tls: {cert: /a, key: /b}}\n", 1, "unknown key 'cert' in listen.tls"},
      {"limits: {messagesize: 1}\n", 1, "did you mean 'message_size'?"},
      {"fetchers:\n  a:\n    pol_interval: 5\n", 3, "in fetchers.a; did you mean 'poll_interval'?"},
      {"fetchers:\n  a:\n    quota:\n      calls: 5\n      every: day\n", 5, "unknown key 'every' in fetchers.a.quota"},
      {"zzzzzzzz: 1\n", 1, "known keys: listen, auth, limits, plugins, http, state, keys, log, fetchers"},
      {"auth: {users: x}\n", 1, "known keys: tokens"},
      {"plugins: {Directory: /x}\n", 1, "did you mean 'directory'?"},
      {"http:\n  body: 1MiB\n  timeout:\n", 3, "unknown key 'timeout' in http"},
      {"state: {event: 1}\n", 1, "did you mean 'events'?"},
      {"keys: {master-key: /x}\n", 1, "did you mean 'master_key'?"},
  });
}

TEST_CASE("what is not a mapping of sections is refused") {
  check_refused({
      {"- a\n- b\n", 1, "the configuration must be a mapping, not a list"},
      {"just words\n", 1, "the configuration must be a mapping, not just words"},
      {"\nlisten: 8080\n", 2, "listen must be a mapping, not 8080"},
      {"listen:\n  - port: 1\n", 2, "listen must be a mapping, not a list"},
      {"fetchers: [nyt-top]\n", 1, "fetchers must be a mapping, not a list"},
      {"fetchers:\n  nyt-top: true\n", 2, "fetchers.nyt-top must be a mapping, not true"},
      {"a: 1\n---\nb: 2\n", 3, "a second document begins here"},
  });
}

TEST_CASE("keys that are given twice are refused") {
  check_refused({
      {"listen:\n  port: 1\n  port: 2\n", 3, "listen: 'port' is given twice"},
      {"state:\nhttp:\nstate:\n", 3, "'state' is given twice"},
      {"fetchers:\n  a: {}\n  b: {}\n  a: {}\n", 4, "fetchers: 'a' is given twice"},
      {"fetchers:\n  a:\n    config:\n      x: 1\n      x: 2\n", 5, "fetchers.a.config: 'x' is given twice"},
      {"fetchers:\n  a:\n    pinned: [{x: 1, x: 2}]\n", 3, "'x' is given twice"},
  });
}

TEST_CASE("text that is not YAML is refused with its line") {
  check_refused({
      {"listen:\n  port: 1\n bad\n", 3, "is not valid YAML"},
      {"a: 1\nlisten: {port: 1\n", 2, "is not valid YAML"},
      {"listen:\n\tport: 1\n", 2, "is not valid YAML"},
      {"a: 1\nb: \"open\n", 2, "is not valid YAML"},
      {"http:\n  user_agent: 'me\nstate: {events: 5}\n", 3, "the file ends inside a quote"},
      {"listen: *nobody\n", 1, "is not valid YAML"},
      {"a: %\n", 1, "is not valid YAML"},
  });
  const auto nul = parse_config(std::string("a: \0", 4), "t.yaml", "1");
  REQUIRE_FALSE(nul);
  CHECK(nul.error().where == "t.yaml");
}

TEST_CASE("hostile YAML neither crashes nor swells") {
  const std::string deep(100'000, '[');
  CHECK_FALSE(parse_config(deep, "t", "1"));
  CHECK_FALSE(parse_config("fetchers: {a: {config: {x: " + deep + "}}}", "t", "1"));
  std::string laughs = "fetchers:\n  a:\n    config:\n      l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string below = "*l" + std::to_string(i - 1);
    laughs += "      l" + std::to_string(i) + ": &l" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) laughs += (k == 0 ? "" : ", ") + below;
    laughs += "]\n";
  }
  const auto result = parse_config(laughs, "t", "1");
  REQUIRE_FALSE(result);
  CHECK_THAT(result.error().message, Catch::Contains("more than 10000 values"));
  const auto circle = parse_config("fetchers:\n  a:\n    config: &c {again: *c}\n", "t", "1");
  REQUIRE_FALSE(circle);
  CHECK_THAT(circle.error().message, Catch::Contains("32 levels"));
  std::string nested = "1";
  for (int i = 0; i < 40; ++i) nested = "{x: " + nested + "}";
  CHECK_THAT(parse_config("fetchers: {a: {config: " + nested + "}}", "t", "1").error().message,
             Catch::Contains("32 levels"));
}

TEST_CASE("bad values are refused with what was expected") {
  check_refused({
      bad("listen", "address", "localhost",
          "listen.address must be an IP address such as 127.0.0.1, 0.0.0.0 or ::1, not localhost"),
      bad("listen", "address", "5", "must be an IP address"),
      bad("listen", "address", "[a]", "not a list"),
      bad("listen", "port", "65536", "listen.port must be a whole number between 0 and 65535, not 65536"),
      bad("listen", "port", "-1", "not -1"),
      bad("listen", "port", "80.5", "not 80.5"),
      bad("listen", "port", "\"80\"", "not the text \"80\""),
      bad("listen", "port", "eighty", "not eighty"),
      bad("listen", "port", "99999999999999999999999", "between 0 and 65535"),
      bad("listen", "port", "{}", "not a mapping"),
      bad("listen", "threads", "257", "between 0 and 256"),
      bad("listen", "tls", "/a.crt", "listen.tls must be a mapping"),
      bad("listen", "tls", "{certificate: /a}", "listen.tls: needs 'key'"),
      bad("listen", "tls", "{key: /a, certificate: null}", "listen.tls: needs 'certificate'"),
      bad("listen", "tls", "{key: 5, certificate: /a}", "listen.tls.key must be a path"),
      bad("listen", "origins", "https://a.example", "listen.origins must be a list"),
      bad("listen", "origins", "[https://a.example/]", "listen.origins[0] must be an origin such as"),
      bad("listen", "origins", "[\"*\", a.example]", "listen.origins[1] must be an origin"),
      bad("listen", "origins", "[https://a.example:0]", "must be an origin"),
      bad("listen", "trusted_proxies", "[10.0.0.0/33]", "must be an address or network"),
      bad("listen", "trusted_proxies", "[proxy.example]", "must be an address or network"),
      bad("listen", "trusted_proxies", "[null]", "not null"),
      bad("auth", "tokens", "[]", "auth.tokens must be a path, not a list"),
      bad("auth", "tokens", "\"\"", "auth.tokens must be a path"),
      bad("limits", "connections", "0", "limits.connections must be a whole number between 1 and 1000000"),
      bad("limits", "connections_per_address", "0", "limits.connections_per_address must"),
      bad("limits", "subscriptions_per_connection", "0", "limits.subscriptions_per_connection must"),
      bad("limits", "channels", "1.0", "limits.channels must"),
      bad("limits", "channels_per_address", "0", "limits.channels_per_address must"),
      bad("limits", "message_size", "64KB", "limits.message_size must be a size between 1KiB and 16MiB such as"),
      bad("limits", "message_size", "1GiB", "not 1GiB"),
      bad("limits", "message_size", "1023", "not 1023"),
      bad("limits", "message_size", "64 KiB", "not 64 KiB"),
      bad("limits", "message_size", "99999999999999GiB", "must be a size"),
      bad("limits", "send_queue", "1", "between 4KiB and 1GiB"),
      bad("plugins", "directory", "5", "plugins.directory must be a path (put it in quotes if that is meant), not 5"),
      bad("plugins", "host", "true", "plugins.host must be a path"),
      bad("plugins", "sandbox", "best_effort", "plugins.sandbox must be required, best-effort or off, not best_effort"),
      bad("plugins", "sandbox", "false", "plugins.sandbox must be required, best-effort or off"),
      bad("plugins", "call_timeout", "30x", "plugins.call_timeout must be a duration between 100ms and 10m"),
      bad("plugins", "call_timeout", "1.5s", "not 1.5s"),
      bad("plugins", "call_timeout", "0", "not 0"),
      bad("plugins", "call_timeout", "-5s", "not -5s"),
      bad("plugins", "call_timeout", "9999999999999999999d", "must be a duration"),
      bad("plugins", "memory", "1MiB", "plugins.memory must be a size between 16MiB and 64GiB"),
      bad("http", "proxy", "user:hidden@proxy.example:1", "http.proxy: must be a URL"),
      bad("http", "proxy", "ftp://proxy.example", "http.proxy: must be a URL"),
      bad("http", "ca_file", "{}", "http.ca_file must be a path"),
      bad("http", "user_agent", "\"a\\r\\nb\"", "http.user_agent: holds a control character"),
      bad("http", "requests_per_origin", "0", "between 1 and 10000"),
      bad("http", "body", "1GiB", "between 1KiB and 256MiB"),
      bad("state", "directory", "[]", "state.directory must be a path"),
      bad("state", "events", "0", "state.events must be a whole number"),
      bad("state", "events_age", "1500ms", "whole seconds"),
      bad("state", "events_age", "366d", "between 1s and 365d"),
      bad("state", "forget", "forever", "state.forget must be a duration"),
      bad("keys", "file", "5", "keys.file must be a path"),
      bad("keys", "master_key", "passphrase", "restream-keys alone"),
      bad("keys", "master_key", "'credential:'", "credential:NAME"),
  });
  const auto secret = parse_config("http: {proxy: \"u:hidden@h\"}", "t", "1");
  CHECK_THAT(secret.error().message, !Catch::Contains("hidden"));
}

TEST_CASE("bad fetchers are refused with what was expected") {
  check_refused({
      {"fetchers:\n  ok:\n  Nyt:\n", 3, "fetchers: 'Nyt' is no fetcher's name"},
      {"fetchers: {-a: {}}\n", 1, "is no fetcher's name"},
      {"fetchers: {a_b: {}}\n", 1, "is no fetcher's name"},
      {"fetchers: {../a: {}}\n", 1, "is no fetcher's name"},
      {"fetchers: {\"\": {}}\n", 1, "is no fetcher's name"},
      {"fetchers: {[a]: {}}\n", 1, "a key must be a single word"},
      bad_fetcher("plugin", "../evil", "fetchers.a-b.plugin must be a plugin's name"),
      bad_fetcher("plugin", "x.so", "fetchers.a-b.plugin must be a plugin's name"),
      bad_fetcher("config", "[1]", "fetchers.a-b.config must be a mapping, not a list"),
      bad_fetcher("config", "text", "fetchers.a-b.config must be a mapping"),
      bad_fetcher("config", "{x: .inf}", "fetchers.a-b.config.x: '.inf' has no single meaning"),
      bad_fetcher("config", "{x: [1, 007]}", "fetchers.a-b.config.x[1]: '007' has no single meaning"),
      bad_fetcher("config", "{x: -01}", "has no single meaning"),
      bad_fetcher("config", "{x: 0xFFFFFFFFFFFFFFFFFF}", "has no single meaning"),
      bad_fetcher("config", "{x: !!binary aGk=}", "is not supported"),
      bad_fetcher("config", "{x: !mine 1}", "is not supported"),
      bad_fetcher("config", "{<<: {a: 1}}", "merge keys"),
      bad_fetcher("config", "{[1]: 2}", "a key must be a single word"),
      bad_fetcher("config", "{x: \"\xff\"}", "UTF-8"),
      bad_fetcher("enabled", "yes", "fetchers.a-b.enabled must be true or false, not yes"),
      bad_fetcher("enabled", "\"true\"", "must be true or false, not the text \"true\""),
      bad_fetcher("enabled", "1", "must be true or false"),
      bad_fetcher("poll_interval", "0", "fetchers.a-b.poll_interval must be a duration between 10ms and 30d"),
      bad_fetcher("force_interval", "on", "must be true or false"),
      bad_fetcher("adaptive", "60s", "fetchers.a-b.adaptive must be a mapping"),
      bad_fetcher("adaptive", "{min: 60s}", "fetchers.a-b.adaptive: needs 'max'"),
      bad_fetcher("adaptive", "{min: 60s, max: 59s}",
                  "fetchers.a-b.adaptive.max must be a duration that is not below min"),
      bad_fetcher("adaptive", "{min: 0, max: 59s}",
                  "fetchers.a-b.adaptive.min must be a duration between 10ms and 30d"),
      bad_fetcher("origin", "http://127.0.0.1:9000/x", "fetchers.a-b.origin must be an origin such as"),
      bad_fetcher("origin", "http://u@h", "must be an origin"),
      bad_fetcher("origin", "127.0.0.1:9000", "must be an origin"),
      bad_fetcher("origin", "http://h:99999", "must be an origin"),
      bad_fetcher("origin", "http://[::g]", "must be an origin"),
      bad_fetcher("allow_private", "maybe", "must be true or false"),
      bad_fetcher("quota", "1000", "fetchers.a-b.quota must be a mapping"),
      bad_fetcher("quota", "{calls: 5}", "fetchers.a-b.quota: needs 'per'"),
      bad_fetcher("quota", "{per: day}", "fetchers.a-b.quota: needs 'calls'"),
      bad_fetcher("quota", "{calls: 0, per: day}", "fetchers.a-b.quota.calls must be a whole number"),
      bad_fetcher("quota", "{calls: 5, per: week}",
                  "fetchers.a-b.quota.per must be second, minute, hour or day, not week"),
      bad_fetcher("pinned", "{section: home}", "fetchers.a-b.pinned must be a list"),
      bad_fetcher("pinned", "[home]", "fetchers.a-b.pinned[0] must be a mapping of params"),
      bad_fetcher("pinned", "[{a: null}]", "fetchers.a-b.pinned[0].a must be text, a number, true or false, not null"),
      bad_fetcher("pinned", "[{}, {a: [1]}]", "fetchers.a-b.pinned[1].a must be text"),
      bad_fetcher("pinned", "[{zip: 01234}]", "put it in quotes"),
  });
}

TEST_CASE("a file that cannot be read is named") {
  std::string name = (std::filesystem::temp_directory_path() / "restream-config-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  const std::filesystem::path folder = name;
  const auto missing = load_config(folder / "none.yaml", "1");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().where == (folder / "none.yaml").string());
  CHECK_THAT(missing.error().message, Catch::Contains("No such file or directory"));
  CHECK_THAT(load_config(folder, "1").error().message, Catch::Contains("is a directory"));
  CHECK_THAT(load_config("/dev/zero", "1").error().message, Catch::Contains("larger than 1 MiB"));

  std::ofstream(folder / "a.yaml") << "listen:\n  port: 9\n";
  CHECK(load_config(folder / "a.yaml", "1")->listen.port == 9);
  std::ofstream(folder / "a.yaml") << "listen:\n  port: x\n";
  CHECK(load_config(folder / "a.yaml", "1").error().where == (folder / "a.yaml").string() + ":2");
  std::ofstream(folder / "a.yaml").close();
  CHECK(load_config(folder / "a.yaml", "1"));
  CHECK(load_config("/dev/null", "1"));
  std::filesystem::remove_all(folder);
}
