#include "reloading.hpp"

#include <utility>

#include "config/reload.hpp"
#include "config/tokens.hpp"
#include "http/certificates.hpp"
#include "options.hpp"
#include "serve/tls.hpp"

namespace restream {

std::vector<std::string> secrets_in(const KeyValues& keys) {
  std::size_t count = 0;
  for (const auto& [fetcher, values] : keys) count += values.size();
  std::vector<std::string> out;
  out.reserve(count);  // a short text stays behind where it is moved from
  for (const auto& [fetcher, values] : keys)
    for (const auto& [name, value] : values) out.push_back(value.text());
  return out;
}

std::expected<std::string, std::string> Reloading::all() {
  const auto configured = config();
  parts_.fetchers.rescan();
  std::string problems = configured ? "" : configured.error();
  for (const auto& done : {keys(), tokens(), certificate()})
    if (!done) problems += (problems.empty() ? "" : "; ") + done.error();
  if (!problems.empty()) return std::unexpected(problems);
  return "configuration, keys, tokens, certificate and plugins read anew" +
         (configured->empty() ? "" : "; a restart is needed for " + *configured);
}

// Gives the keys that need a restart.
std::expected<std::string, std::string> Reloading::config() {
  auto next = load_config(parts_.file, parts_.version);
  const std::string problem = next ? problem_of_files(*next) : next.error().where + ": " + next.error().message;
  if (!problem.empty()) {
    parts_.log.error("the configuration is refused; it stays as it was", {{"reason", problem}});
    return std::unexpected("the configuration stays as it was: " + problem);
  }
  std::string restart;
  for (const std::string& key : keys_for_restart(parts_.config, *next)) restart += (restart.empty() ? "" : ", ") + key;
  if (!restart.empty()) parts_.log.warning("a restart is needed for some of the configuration", {{"keys", restart}});
  configure(without_restart(parts_.config, std::move(*next)));
  parts_.log.info("configuration read anew");
  return restart;
}

// What is wrong with files that are named newly; those that were named before may keep what was read of them.
std::string Reloading::problem_of_files(const Config& next) const {
  if (next.listen.tls && next.listen.tls != parts_.config.listen.tls)
    if (const auto tls = TlsContext::load(next.listen.tls->certificate, next.listen.tls->key); !tls)
      return parts_.file.string() + ": listen.tls: " + tls.error();
  if (next.http.ca_file && next.http.ca_file != parts_.config.http.ca_file)
    if (const std::string problem = problem_of_certificates(*next.http.ca_file); !problem.empty())
      return parts_.file.string() + ": http.ca_file: " + problem;
  if (next.tokens && next.tokens != parts_.config.tokens)
    if (const auto tokens = load_tokens(*next.tokens); !tokens)
      return tokens.error().where + ": " + tokens.error().message;
  return {};
}

// Hands every room what it needs of the configuration. Keys, tokens and certificate are read after it.
void Reloading::configure(Config next) {
  const Config before = std::exchange(parts_.config, std::move(next));
  parts_.log.set_json(parts_.config.log.json);
  parts_.log.set_level(parts_.config.log.debug ? LogLevel::debug : LogLevel::info);
  parts_.http.set_options(http_options(parts_.config, parts_.cache));
  parts_.hub.set_limits(hub_limits(parts_.config));
  parts_.server.set_options(server_options(parts_.config, parts_.version));
  if (parts_.config.keys != before.keys)
    parts_.keyring = Keyring(parts_.config.keys, parts_.config.state.directory, parts_.file);
  if (before.tokens && !parts_.config.tokens) {
    parts_.log.warning("auth.tokens is not in the configuration any more: everybody who can connect may listen");
    parts_.server.ask_no_tokens();
  }
  if (before.listen.tls && !parts_.config.listen.tls) {
    parts_.log.warning("listen.tls is not in the configuration any more: new connections are plain");
    parts_.server.set_tls(nullptr);
  }
  parts_.fetchers.reconfigure(parts_.config);
  parts_.configured();
}

std::expected<void, std::string> Reloading::keys() {
  auto keys = parts_.keyring.read();
  if (!keys) {
    parts_.log.error("the keystore cannot be read; the keys stay as they were", {{"reason", keys.error()}});
    return std::unexpected("the keys stay as they were: " + keys.error());
  }
  parts_.log.set_secrets(secrets_in(*keys));
  parts_.fetchers.set_keys(*keys);
  parts_.log.info("keys read anew");
  return {};
}

std::expected<void, std::string> Reloading::tokens() {
  if (!parts_.config.tokens) return {};
  auto tokens = load_tokens(*parts_.config.tokens);
  if (!tokens) {
    const std::string reason = tokens.error().where + ": " + tokens.error().message;
    parts_.log.error("the tokens cannot be read; they stay as they were", {{"reason", reason}});
    return std::unexpected("the tokens stay as they were: " + reason);
  }
  parts_.log.info("tokens read anew", {{"tokens", std::to_string(tokens->size())}});
  parts_.server.set_tokens(std::move(*tokens));
  return {};
}

std::expected<void, std::string> Reloading::certificate() {
  if (!parts_.config.listen.tls) return {};
  auto tls = TlsContext::load(parts_.config.listen.tls->certificate, parts_.config.listen.tls->key);
  if (!tls) {
    parts_.log.error("the certificate cannot be read; it stays as it was", {{"reason", tls.error()}});
    return std::unexpected("the certificate stays as it was: " + tls.error());
  }
  parts_.log.info("certificate read anew");
  parts_.server.set_tls(std::move(*tls));
  return {};
}

}  // namespace restream
