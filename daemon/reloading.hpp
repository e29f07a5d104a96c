// Reads the configuration, the keys, the tokens and the certificate anew, and hands them to the rooms that use them.
// Each part that cannot be read stays as it was; the log and the answer say why. Runs on: core.
#pragma once

#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "channel/hub.hpp"
#include "config/config.hpp"
#include "fetch/fetchers.hpp"
#include "http/cache.hpp"
#include "http/http_client.hpp"
#include "keyring/keyring.hpp"
#include "model/key_values.hpp"
#include "ops/log.hpp"
#include "serve/server.hpp"

namespace restream {

std::vector<std::string> secrets_in(const KeyValues& keys);

// All of it outlives the Reloading.
struct ReloadParts {
  Config& config;
  const std::filesystem::path& file;
  std::string version;
  std::shared_ptr<HttpCache> cache;
  Log log;
  Keyring& keyring;
  HttpClient& http;
  Hub& hub;
  Fetchers& fetchers;
  Server& server;
  std::function<void()> configured;  // `config` is another one, and every room has it
};

class Reloading {
 public:
  explicit Reloading(ReloadParts parts) : parts_(std::move(parts)) {}

  // What SIGHUP and `restreamctl reload` do. Gives a sentence, or what is wrong.
  std::expected<std::string, std::string> all();
  std::expected<void, std::string> keys();

 private:
  std::expected<std::string, std::string> config();
  [[nodiscard]] std::string problem_of_files(const Config& next) const;
  void configure(Config next);
  std::expected<void, std::string> tokens();
  std::expected<void, std::string> certificate();

  ReloadParts parts_;
};

}  // namespace restream
