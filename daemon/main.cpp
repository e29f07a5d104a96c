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
#include "config/tokens.hpp"
#include "daemon.hpp"
#include "descriptors.hpp"
#include "fetch/sandbox_probe.hpp"
#include "http/certificates.hpp"
#include "keyring/keyring.hpp"
#include "keys/secret.hpp"
#include "ops/log.hpp"
#include "ops/service_manager.hpp"
#include "serve/tls.hpp"
#include "store/sqlite_store.hpp"

namespace {

using namespace restream;

constexpr int exit_fine = 0;
constexpr int exit_runtime = 1;
constexpr int exit_config = 2;
constexpr int exit_state = 3;

int complain(int code, const std::string& message) {
  std::fprintf(stderr, "restreamd: %s\n", message.c_str());
  return code;
}

std::filesystem::path find_host(const Config& config) {
  if (config.plugins.host) return *config.plugins.host;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  return self.parent_path().parent_path() / "libexec" / "restream" / "restream-fetcher-host";
}

void raise_descriptor_limit(const Config& config, const Log& log) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (const std::size_t possible = descriptors_for_clients(); possible < config.limits.connections)
    log.warning("the hard limit of open files is lower than limits.connections needs; fewer will be served",
                {{"limit", std::to_string(limit.rlim_max)},
                 {"wanted", std::to_string(config.limits.connections)},
                 {"served", std::to_string(possible)}});
}

// Empty when plugins may be run: they can be confined, or the configuration does not insist.
std::string check_sandbox(const Config& config, const Log& log) {
  if (config.plugins.sandbox == SandboxMode::off) {
    log.warning(
        "plugins.sandbox is off: every plugin can read what restreamd's user can read, the keystore and the database "
        "among it, and use the network; run no plugin like this that you have not read yourself");
    return {};
  }
  const auto missing = probe_sandbox(find_host(config));
  std::string problems = missing ? std::string() : missing.error();
  if (missing)
    for (const std::string& part : *missing) problems += (problems.empty() ? "" : "; ") + part;
  if (problems.empty()) {
    log.info("plugins are confined by Landlock and seccomp");
    return {};
  }
  if (config.plugins.sandbox == SandboxMode::required)
    return "plugins cannot be confined here, and plugins.sandbox is required: " + problems +
           ". `sandbox: best-effort` would run them with what there is";
  log.warning("plugins are confined in part: plugins.sandbox is best-effort", {{"missing", problems}});
  return {};
}

int run(const Config& config, const std::string& file) {
  const Log log = Log::to_standard_error(LogLevel::info);
  log.set_json(config.log.json);
  log.set_level(config.log.debug ? LogLevel::debug : LogLevel::info);
  log.info("restreamd starts", {{"version", RESTREAM_VERSION}});
  const auto listening = ServiceManager::passed_socket();
  if (!listening) return complain(exit_config, listening.error());
  raise_descriptor_limit(config, log);
  if (const std::string problem = check_sandbox(config, log); !problem.empty()) return complain(exit_runtime, problem);
  auto store = open_sqlite_store(config.state.directory);
  if (!store)
    return complain(store.error().kind == StoreOpenError::Kind::io ? exit_runtime : exit_state, store.error().message);
  const auto hash = open_keyed_hash(config.state.directory / "hash.key");
  if (!hash) return complain(exit_state, hash.error());
  Keyring keyring(config.keys, config.state.directory, file);
  auto keys = keyring.read();
  if (!keys) return complain(exit_state, keys.error());
  Daemon daemon(config, file, find_host(config), RESTREAM_VERSION, std::move(*store), *hash, std::move(keyring),
                std::move(*keys), log);
  if (const auto done = daemon.run(*listening); !done) return complain(exit_runtime, done.error());
  log.info("restreamd ends");
  return exit_fine;
}

int accept_rollback(const Config& config, const std::string& file) {
  const auto accepted = Keyring(config.keys, config.state.directory, file).accept();
  if (!accepted) return complain(exit_state, accepted.error());
  std::printf("%s. A running restreamd takes it at its next reload\n", accepted->c_str());
  return exit_fine;
}

}  // namespace

int main(int argc, char** argv) {
  keys::init_secure_memory();
  CLI::App app{
      "restreamd turns REST APIs into streams: fetcher plugins ask an API, restreamd polls it once however many\n"
      "people listen, and pushes what is new, updated or gone to its subscribers.",
      "restreamd"};
  app.footer(
      "Examples:\n"
      "  restreamd --check                        is the configuration fine?\n"
      "  restreamd --config ./restream.yaml       run with a configuration of your own\n"
      "  kill -HUP PID                            read configuration, keys, tokens, certificate, plugins anew\n"
      "  restreamd --accept-rollback              the older keystore was put there on purpose: take it\n\n"
      "Exit codes: 0 fine, 1 runtime fault, 2 usage or configuration, 3 state in use or damaged.\n"
      "Keys are set with restream-keys(1).");
  std::string file = "/etc/restream/restream.yaml";
  bool check = false;
  app.add_option("--config", file, "The configuration file")->capture_default_str()->type_name("FILE");
  bool accept = false;
  app.add_flag("--check", check, "Validate the configuration and exit");
  app.add_flag("--accept-rollback", accept,
               "Take the keystore as it is for the newest, though an older or another one was read before, and exit. "
               "As root; the service's user goes on from there");
  app.set_version_flag("--version", std::string("restream ") + RESTREAM_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_fine : exit_config;
  }
  const auto config = load_config(file, RESTREAM_VERSION);
  if (!config) return complain(exit_config, config.error().where + ": " + config.error().message);
  if (config->listen.tls)
    if (const auto tls = TlsContext::load(config->listen.tls->certificate, config->listen.tls->key); !tls)
      return complain(exit_config, file + ": " + tls.error());
  if (config->http.ca_file)
    if (const std::string problem = problem_of_certificates(*config->http.ca_file); !problem.empty())
      return complain(exit_config, file + ": http.ca_file: " + problem);
  if (config->tokens)
    if (const auto tokens = load_tokens(*config->tokens); !tokens)
      return complain(exit_config, tokens.error().where + ": " + tokens.error().message);
  if (check) {
    std::printf("%s: fine\n", file.c_str());
    return exit_fine;
  }
  try {
    if (accept) return accept_rollback(*config, file);
    return run(*config, file);
  } catch (const std::exception& fault) {
    return complain(exit_runtime, fault.what());
  }
}
