// restreamd: reads the command line and the configuration, opens the store and the keystore, runs the daemon.
//
// Exit codes: 0 fine, 1 runtime fault, 2 usage or configuration, 3 state in use or damaged.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "config/config.hpp"
#include "daemon.hpp"
#include "keys/keystore.hpp"
#include "keys/master_key.hpp"
#include "keys/secret.hpp"
#include "ops/log.hpp"
#include "store/sqlite_store.hpp"

namespace {

using namespace restream;

constexpr int exit_fine = 0;
constexpr int exit_runtime = 1;
constexpr int exit_config = 2;
constexpr int exit_state = 3;

constexpr rlim_t descriptors_besides = 256;  // database, plugins, upstreams, listeners

int complain(int code, const std::string& message) {
  std::fprintf(stderr, "restreamd: %s\n", message.c_str());
  return code;
}

// What this version does not do yet must not look as if it did.
std::string not_built(const Config& config) {
  if (config.listen.tls) return "listen.tls: TLS is not in this version; put a TLS proxy in front, and leave this out";
  if (config.tokens) return "auth.tokens: tokens are not in this version; listen on loopback only, and leave this out";
  if (!config.listen.trusted_proxies.empty()) return "listen.trusted_proxies: not in this version; leave it out";
  return {};
}

std::filesystem::path find_host(const Config& config) {
  if (config.plugins.host) return *config.plugins.host;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  return self.parent_path().parent_path() / "libexec" / "restream" / "restream-fetcher-host";
}

// No file means no keys; every other failure is one.
std::expected<KeyValues, std::string> read_keys(const KeysConfig& config) {
  if (!std::filesystem::exists(std::filesystem::symlink_status(config.file))) return KeyValues{};
  const auto source = keys::parse_master_key_source(config.master_key);
  if (!source) return std::unexpected("keys.master_key: " + source.error().message);
  const auto master = keys::load_master_key(*source, keys::default_owners());
  if (!master) return std::unexpected("keys.master_key: " + master.error().message);
  const auto opened = keys::open_keystore(config.file.string(), *master, keys::default_owners());
  if (!opened) return std::unexpected("keys.file: " + opened.error().message);
  KeyValues values;
  for (const auto& [fetcher, entry] : opened->entries)
    for (const auto& [name, value] : entry) values[fetcher][name] = std::string(value.view());
  return values;
}

void raise_descriptor_limit(const Config& config, const Log& log) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t needed = config.limits.connections + descriptors_besides;
  if (limit.rlim_max < needed)
    log.warning("the hard limit of open files is lower than limits.connections needs; fewer will be served",
                {{"limit", std::to_string(limit.rlim_max)}, {"needed", std::to_string(needed)}});
}

int run(const Config& config) {
  const Log log = Log::to_standard_error(LogLevel::info);
  log.info("restreamd starts", {{"version", RESTREAM_VERSION}});
  raise_descriptor_limit(config, log);
  // The confinement of plugins is not complete in this version; say so whatever was asked for.
  log.warning(
      "plugins run in processes of their own with limits, but are not confined by Landlock and seccomp in this "
      "version");
  auto keys = read_keys(config.keys);
  if (!keys) return complain(exit_state, keys.error());
  auto store = open_sqlite_store(config.state.directory);
  if (!store)
    return complain(store.error().kind == StoreOpenError::Kind::io ? exit_runtime : exit_state, store.error().message);
  const auto hash = open_keyed_hash(config.state.directory / "hash.key");
  if (!hash) return complain(exit_state, hash.error());
  Daemon daemon(
      config, find_host(config), RESTREAM_VERSION, std::move(*store), *hash, std::move(*keys),
      [paths = config.keys] { return read_keys(paths); }, log);
  if (const auto done = daemon.run(); !done) return complain(exit_runtime, done.error());
  log.info("restreamd ends");
  return exit_fine;
}

}  // namespace

int main(int argc, char** argv) {
  keys::init_secure_memory();
  CLI::App app{
      "restreamd turns REST APIs into streams: fetcher plugins ask an API, restreamd polls it once however many\n"
      "people listen, and pushes what is new, updated or gone to WebSocket subscribers.",
      "restreamd"};
  app.footer(
      "Examples:\n"
      "  restreamd --check                        is the configuration fine?\n"
      "  restreamd --config ./restream.yaml       run with a configuration of your own\n"
      "  kill -HUP PID                            read the keystore anew\n\n"
      "Exit codes: 0 fine, 1 runtime fault, 2 usage or configuration, 3 state in use or damaged.\n"
      "Keys are set with restream-keys(1).");
  std::string file = "/etc/restream/restream.yaml";
  bool check = false;
  app.add_option("--config", file, "The configuration file")->capture_default_str()->type_name("FILE");
  app.add_flag("--check", check, "Validate the configuration and exit");
  app.set_version_flag("--version", std::string("restream ") + RESTREAM_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_fine : exit_config;
  }
  const auto config = load_config(file, RESTREAM_VERSION);
  if (!config) return complain(exit_config, config.error().where + ": " + config.error().message);
  if (const std::string missing = not_built(*config); !missing.empty())
    return complain(exit_config, file + ": " + missing);
  if (check) {
    std::printf("%s: fine\n", file.c_str());
    return exit_fine;
  }
  try {
    return run(*config);
  } catch (const std::exception& fault) {
    return complain(exit_runtime, fault.what());
  }
}
