// What a configuration means: defaults, every key, the free-form part, the packaged file.
#include "config/config.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

using namespace restream;
using namespace std::chrono_literals;

namespace {

Config accept(const std::string& yaml) {
  const std::expected<Config, ConfigError> config = parse_config(yaml, "t.yaml", "1.2.3");
  if (!config) FAIL(config.error().where << ": " << config.error().message);
  return *config;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

// As the parser itself lists them, section by section: what it learns to read is asked for here at once.
std::set<std::string> all_keys() {
  std::set<std::string> keys;
  const std::string source = content_of(CONFIG_SOURCE);
  const std::regex list("allow_only\\(\\{([^}]*)\\}");
  const std::regex word("\"([a-z_]+)\"");
  for (std::sregex_iterator one(source.begin(), source.end(), list), end; one != end; ++one) {
    const std::string words = (*one)[1];
    for (std::sregex_iterator key(words.begin(), words.end(), word); key != end; ++key) keys.insert((*key)[1]);
  }
  REQUIRE(keys.size() > 50);
  return keys;
}

std::string packaged() {
  std::ifstream in(PACKAGED_CONFIG);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string fetcher_config(const std::string& yaml) {
  return accept("fetchers:\n  a:\n    config: " + yaml).fetchers.at("a").config;
}

void check_defaults(const Config& config) {
  CHECK(config.listen.address == "127.0.0.1");
  CHECK(config.listen.port == 8080);
  CHECK(config.listen.threads == 0);
  CHECK_FALSE(config.listen.tls);
  CHECK(config.listen.origins.empty());
  CHECK(config.listen.trusted_proxies.empty());
  CHECK_FALSE(config.tokens);
  CHECK(config.limits.connections == 20000);
  CHECK(config.limits.connections_per_address == 1000);
  CHECK(config.limits.subscriptions_per_connection == 100);
  CHECK(config.limits.channels == 10000);
  CHECK(config.limits.channels_per_address == 1000);
  CHECK(config.limits.message_size == 65536);
  CHECK(config.limits.send_queue == 1048576);
  CHECK(config.plugins.directory == "/usr/lib/restream/plugins");
  CHECK_FALSE(config.plugins.host);
  CHECK(config.plugins.sandbox == SandboxMode::required);
  CHECK(config.plugins.call_timeout == 30s);
  CHECK(config.plugins.memory == 268435456);
  CHECK_FALSE(config.http.proxy);
  CHECK_FALSE(config.http.ca_file);
  CHECK(config.http.user_agent == "restream/1.2.3");
  CHECK(config.http.requests_per_origin == 64);
  CHECK(config.http.body == 16777216);
  CHECK(config.state.directory == "/var/lib/restream");
  CHECK(config.state.events == 1000);
  CHECK(config.state.events_age == 24h);
  CHECK(config.state.forget == 30 * 24h);
  CHECK(config.keys.file == "/etc/restream/keys.restream");
  CHECK_FALSE(config.keys.master_key);
  CHECK_FALSE(config.log.json);
}

}  // namespace

TEST_CASE("an empty configuration gives every default") {
  for (const std::string yaml :
       {"", "\n\n", "# nothing\n", "{}", "null", "~", "---\n", "---\n...\n", "\xef\xbb\xbf# bom\n"}) {
    INFO(yaml);
    const Config config = accept(yaml);
    check_defaults(config);
    CHECK(config.fetchers.empty());
  }
}

TEST_CASE("null means the default, wherever it stands") {
  const Config config = accept(R"(
listen: {address: null, port: ~, threads: null, tls: null, origins: null, trusted_proxies: }
auth: {tokens: null}
limits:
plugins: {directory: null, host: null, sandbox: null, call_timeout: null, memory: NULL}
http: {proxy: null, ca_file: null, user_agent: null, requests_per_origin: null, body: null}
state: null
keys: {file: null, master_key: null}
fetchers:
  a:
  b: {plugin: null, config: null, enabled: null, poll_interval: null, force_interval: null, adaptive: null, origin: null,
      allow_private: null, quota: null, pinned: null}
)");
  check_defaults(config);
  for (const std::string name : {"a", "b"}) {
    const FetcherConfig& fetcher = config.fetchers.at(name);
    CHECK(fetcher.plugin == name);
    CHECK(fetcher.config == "{}");
    CHECK(fetcher.enabled);
    CHECK_FALSE(fetcher.poll_interval);
    CHECK_FALSE(fetcher.force_interval);
    CHECK_FALSE(fetcher.adaptive);
    CHECK_FALSE(fetcher.origin);
    CHECK_FALSE(fetcher.allow_private);
    CHECK_FALSE(fetcher.quota);
    CHECK(fetcher.pinned.empty());
  }
}

TEST_CASE("every key is read") {
  const Config config = accept(R"(
listen:
  address: "::"
  port: 0
  threads: 4
  tls: {certificate: /c.crt, key: /c.key}
  origins: ["https://app.example", "http://localhost:3000", "*"]
  trusted_proxies: [10.0.0.0/8, "::1", 192.168.1.1]
auth: {tokens: /t.yaml}
limits: {connections: 1, connections_per_address: 2, subscriptions_per_connection: 3, channels: 4,
         channels_per_address: 5, message_size: 2KiB, send_queue: 65536}
plugins: {directory: /p, host: /h, sandbox: best-effort, call_timeout: 1500ms, memory: 1GiB}
http: {proxy: "http://u:p@proxy.example:3128", ca_file: /ca.pem, user_agent: me, requests_per_origin: 2, body: 8MiB}
state: {directory: /s, events: 7, events_age: 90, forget: 2h}
keys: {file: /k, master_key: "credential:master"}
fetchers:
  nyt-home:
    plugin: nyt-top
    config: {section: home}
    enabled: false
    poll_interval: 200ms
    force_interval: true
    adaptive: {min: 30s, max: 1h}
    origin: http://127.0.0.1:9000
    allow_private: true
    quota: {calls: 1000, per: hour}
    pinned: [{section: home, limit: 5, all: true, code: "007"}, {}]
)");
  CHECK(config.listen.address == "::");
  CHECK(config.listen.port == 0);
  CHECK(config.listen.threads == 4);
  REQUIRE(config.listen.tls);
  CHECK(config.listen.tls->certificate == "/c.crt");
  CHECK(config.listen.tls->key == "/c.key");
  CHECK(config.listen.origins == std::vector<std::string>{"https://app.example", "http://localhost:3000", "*"});
  CHECK(config.listen.trusted_proxies == std::vector<std::string>{"10.0.0.0/8", "::1", "192.168.1.1"});
  CHECK(config.tokens == "/t.yaml");
  CHECK(config.limits.connections == 1);
  CHECK(config.limits.connections_per_address == 2);
  CHECK(config.limits.subscriptions_per_connection == 3);
  CHECK(config.limits.channels == 4);
  CHECK(config.limits.channels_per_address == 5);
  CHECK(config.limits.message_size == 2048);
  CHECK(config.limits.send_queue == 65536);
  CHECK(config.plugins.directory == "/p");
  CHECK(config.plugins.host == "/h");
  CHECK(config.plugins.sandbox == SandboxMode::best_effort);
  CHECK(config.plugins.call_timeout == 1500ms);
  CHECK(config.plugins.memory == 1073741824);
  CHECK(config.http.proxy == "http://u:p@proxy.example:3128");
  CHECK(config.http.ca_file == "/ca.pem");
  CHECK(config.http.user_agent == "me");
  CHECK(config.http.requests_per_origin == 2);
  CHECK(config.http.body == 8388608);
  CHECK(config.state.directory == "/s");
  CHECK(config.state.events == 7);
  CHECK(config.state.events_age == 90s);
  CHECK(config.state.forget == 2h);
  CHECK(config.keys.file == "/k");
  CHECK(config.keys.master_key == "credential:master");
  const FetcherConfig& fetcher = config.fetchers.at("nyt-home");
  CHECK(fetcher.plugin == "nyt-top");
  CHECK(fetcher.config == R"({"section":"home"})");
  CHECK_FALSE(fetcher.enabled);
  CHECK(fetcher.poll_interval == 200ms);
  CHECK(fetcher.force_interval);
  REQUIRE(fetcher.adaptive);
  CHECK(fetcher.adaptive->min == 30s);
  CHECK(fetcher.adaptive->max == 1h);
  CHECK(fetcher.origin == "http://127.0.0.1:9000");
  CHECK(fetcher.allow_private);
  REQUIRE(fetcher.quota);
  CHECK(fetcher.quota->calls == 1000);
  CHECK(fetcher.quota->per == 1h);
  using Pinned = std::vector<std::vector<std::pair<std::string, std::string>>>;
  CHECK(fetcher.pinned == Pinned{{{"section", "home"}, {"limit", "5"}, {"all", "true"}, {"code", "007"}}, {}});
}

TEST_CASE("durations and sizes are read in all their units") {
  const auto duration = [](const std::string& text) {
    return *accept("fetchers: {a: {poll_interval: " + text + "}}").fetchers.at("a").poll_interval;
  };
  CHECK(duration("90") == 90s);
  CHECK(duration("90s") == 90s);
  CHECK(duration("\"90s\"") == 90s);
  CHECK(duration("500ms") == 500ms);
  CHECK(duration("5m") == 5min);
  CHECK(duration("24h") == 24h);
  CHECK(duration("30d") == 30 * 24h);
  const auto size = [](const std::string& text) { return accept("http: {body: " + text + "}").http.body; };
  CHECK(size("65536") == 65536);
  CHECK(size("65536B") == 65536);
  CHECK(size("64KiB") == 65536);
  CHECK(size("8MiB") == 8388608);
  CHECK(accept("plugins: {memory: 2GiB}").plugins.memory == 2147483648);
  for (const auto& [word, per] :
       std::map<std::string, Seconds>{{"second", 1s}, {"minute", 60s}, {"hour", 3600s}, {"day", 86400s}})
    CHECK(accept("fetchers: {a: {quota: {calls: 1, per: " + word + "}}}").fetchers.at("a").quota->per == per);
  CHECK(accept("plugins: {sandbox: off}").plugins.sandbox == SandboxMode::off);
  CHECK(accept("plugins: {sandbox: \"off\"}").plugins.sandbox == SandboxMode::off);
}

TEST_CASE("a fetcher's own configuration becomes JSON that means the same") {
  CHECK(fetcher_config("{}") == "{}");
  CHECK(fetcher_config("{a: 1, b: -2, c: 1.50, d: 1e3, e: .5, f: 2., g: +7, h: 0x1F, i: 0o17, j: 0}") ==
        R"({"a":1,"b":-2,"c":1.50,"d":1e3,"e":0.5,"f":2.0,"g":7,"h":31,"i":15,"j":0})");
  CHECK(fetcher_config("{big: 123456789012345678901234567890}") == R"({"big":123456789012345678901234567890})");
  CHECK(fetcher_config(R"({a: "1", b: '2', c: !!str 3, d: "true", e: "", f: "null"})") ==
        R"({"a":"1","b":"2","c":"3","d":"true","e":"","f":"null"})");
  CHECK(
      fetcher_config(
          "{a: true, b: False, c: null, d: ~, e: , f: yes, g: on, h: 1.2.3, i: -, j: 12:30, k: 1e, l: 0x}") ==
      R"({"a":true,"b":false,"c":null,"d":null,"e":null,"f":"yes","g":"on","h":"1.2.3","i":"-","j":"12:30","k":"1e","l":"0x"})");
  CHECK(fetcher_config("{list: [1, [two], {three: 3}], \"quo\\\"te\": \"line\\nend\"}") ==
        R"({"list":[1,["two"],{"three":3}],"quo\"te":"line\nend"})");
  CHECK(fetcher_config("\n      z: 1\n      a: |\n        two\n        lines\n") ==
        "{\"z\":1,\"a\":\"two\\nlines\\n\"}");
  CHECK(fetcher_config("{base: &b {x: 1}, again: *b}") == R"({"base":{"x":1},"again":{"x":1}})");
  CHECK(fetcher_config("{name: Zoë}") == R"({"name":"Zoë"})");
  CHECK(nlohmann::json::accept(fetcher_config("{a: -.5, b: -0, c: 1E+5, d: 1e-5, e: -0.0}")));
}

TEST_CASE("a fetcher's own configuration may hold 10,000 values and no more") {
  const auto list_of = [](int count) {
    std::string text = "fetchers: {a: {config: {x: [1";
    for (int i = 1; i < count; ++i) text += ",1";
    return parse_config(text + "]}}}", "t.yaml", "1");
  };
  CHECK(list_of(10'000 - 2));  // the mapping and the list count as well
  CHECK_FALSE(list_of(10'000 - 1));
}

TEST_CASE("the packaged file is accepted, as it is and with every comment sign taken away") {
  const std::string text = packaged();
  REQUIRE(text.size() > 1000);
  const Config as_is = accept(text);
  check_defaults(as_is);
  CHECK(as_is.fetchers.empty());

  // Lines that begin with "# " and a key or an indented key are YAML; the others are sentences.
  std::istringstream lines(text);
  std::ostringstream open;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t word = line.find_first_not_of("# ");
    const std::size_t colon = line.find(':');
    const bool key = line.starts_with("# ") && colon != std::string::npos &&
                     line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_-", word) == colon && line[word] >= 'a';
    open << (key ? line.substr(2) : line) << '\n';
  }
  Config config = accept(open.str());
  REQUIRE(config.listen.tls);
  CHECK(config.tokens == "/etc/restream/tokens.yaml");
  CHECK(config.http.user_agent == "restream/VERSION");
  const FetcherConfig& fetcher = config.fetchers.at("nyt-top");
  CHECK(fetcher.plugin == "nyt-top");
  CHECK(fetcher.poll_interval == 120s);
  CHECK(fetcher.quota->calls == 1000);
  config.listen.tls.reset();
  config.tokens.reset();
  config.http.user_agent = "restream/1.2.3";
  check_defaults(config);
  for (const std::string& key : all_keys()) {
    INFO(key);
    CHECK(std::regex_search(text, std::regex("[ {]" + key + ":[ \n]")));
  }
}

TEST_CASE("the man page names every key") {
  const std::string page = content_of(MAN_PAGE);
  for (const std::string& key : all_keys()) {
    INFO(key);
    CHECK(std::regex_search(page, std::regex("([*.{]|, )" + key + "([*][*]|:|[.])")));
  }
}
