// All plugins and fetchers: one plugin for each .so of the plugins directory, as it is at any time, one fetcher for
// each plugin and for each name under `fetchers` in the configuration. Runs on: core. Owns them all.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "fetch/fetcher.hpp"
#include "fetch/plugin.hpp"
#include "model/key_values.hpp"

namespace restream {

class Fetchers {
 public:
  // `hooks.call` is set here.
  Fetchers(Plugin::Surroundings surroundings, const Config& config, std::filesystem::path host, FetcherHooks hooks);
  ~Fetchers();
  Fetchers(const Fetchers&) = delete;
  Fetchers& operator=(const Fetchers&) = delete;

  // Before start(): there is the built-in fetcher, too, and `items` says what it has (see StatusSource).
  void build_in(std::function<std::string()> items);
  // Reads the directory, starts a host for each plugin, and follows the directory from there on.
  void start();
  // Looks at the directory at once.
  void rescan();

  // What the configuration says of fetchers, and `plugins.call_timeout`, from now on. All else of `config` stays as it
  // was.
  void reconfigure(const Config& config);

  void set_keys(const KeyValues& keys);

  [[nodiscard]] Fetcher* find(const std::string& name);
  // Every plugin file present is loaded or refused.
  [[nodiscard]] bool settled() const;
  // {"fetchers": […], "refused_files": […]} or, with a name, that one alone (nothing when it does not exist). JSON
  // text.
  [[nodiscard]] std::optional<std::string> describe(const std::optional<std::string>& name) const;

  // What the built-in fetcher says of fetchers, quotas and hosts: JSON objects. Nothing in them changes by itself, and
  // what is left of a quota only by steps.
  [[nodiscard]] std::vector<std::string> status_items();

  // Starts the plugin of this fetcher again, which is held because it crashed too often. The error is a sentence.
  std::expected<void, std::string> release(const std::string& fetcher);

  void write_metrics(MetricsText& out) const;

  // What a person should do first to get something out of this, such as a key to set; empty when nothing.
  [[nodiscard]] std::string to_do() const;
  // "2 fetchers, 3 channels polled"
  [[nodiscard]] std::string summary() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace restream
