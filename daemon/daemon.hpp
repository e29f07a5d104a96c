// The whole daemon, built in the order data flows and taken down the other way round. Owns core's loop, which runs on
// the thread that calls run().
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "http/keyed_hash.hpp"
#include "keyring/keyring.hpp"
#include "ops/log.hpp"
#include "store/store.hpp"

namespace restream {

class Daemon {
 public:
  // `file` is where `config` was read, and is read again; `host` is restream-fetcher-host; `hash` names what must not
  // be written down; `keys` is what `keyring` has read already.
  Daemon(Config config, std::filesystem::path file, const std::filesystem::path& host, std::string version,
         std::unique_ptr<Store> store, const KeyedHash& hash, Keyring keyring, KeyValues keys, Log log);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Starts everything and serves until SIGTERM or SIGINT. `listening`: a socket to take instead of binding one. The
  // error is a sentence.
  std::expected<void, std::string> run(std::optional<int> listening);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace restream
