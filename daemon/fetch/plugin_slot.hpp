// The versions of one plugin file: the one that serves, the one on trial that is to replace it, and those that finish
// what they began. Runs on: core. Owns them all.
//
// A file is read by the fetchers' introductions (their metadata()): a version serves once it has introduced itself.
// While one serves, the next one is on trial beside it, and takes over when all is well; otherwise the one before it
// goes on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fetch/fetcher.hpp"
#include "fetch/plugin.hpp"

namespace restream {

class PluginSlot : public std::enable_shared_from_this<PluginSlot> {
 public:
  struct Hooks {
    std::function<std::vector<Fetcher*>()> fetchers;        // the enabled ones of this plugin
    std::function<void()> changed;                          // state() or problem() did
    std::function<void(const std::string& reason)> failed;  // the file is no good; refuse() follows when it stays so
  };

  // `options.plugin` is the file. Nothing happens before load(), refuse() or remove().
  PluginSlot(Plugin::Surroundings surroundings, HostOptions options, Hooks hooks);
  ~PluginSlot();
  PluginSlot(const PluginSlot&) = delete;
  PluginSlot& operator=(const PluginSlot&) = delete;

  void load();                             // the file is new, or has changed
  void refuse(const std::string& reason);  // the file is no good
  void remove();                           // the file is gone
  // Some fetchers came while a version serves, or their settings changed: it introduces itself to those.
  void introduce_to_newcomers();

  // To the version that serves; `retry` when there is none.
  void call(PluginCall call);
  // As Plugin::cancel(), whichever version runs it.
  bool cancel(const std::string& poll);

  [[nodiscard]] PluginState state() const;
  [[nodiscard]] std::string problem() const;
  [[nodiscard]] std::uint64_t restarts() const;
  [[nodiscard]] std::size_t waiting() const;     // calls that have no place yet
  [[nodiscard]] std::string last_error() const;  // empty: none
  // Why the file that is there now does not serve, whether or not the one before it does; empty: it does.
  [[nodiscard]] std::string refusal() const;
  [[nodiscard]] int pid() const;              // of the host that serves; 0: none
  [[nodiscard]] std::string version() const;  // of what serves, as its metadata says; may be empty

 private:
  struct Version;
  struct Round;
  using Introduced = std::expected<Introduction, NoIntroduction>;
  // Who, and the number of the settings under which.
  using Asked = std::vector<std::pair<Fetcher*, std::uint64_t>>;

  std::unique_ptr<Version> make_version();
  void drop(std::unique_ptr<Version> version);
  Version* find(std::uint64_t number);
  [[nodiscard]] bool serving() const;
  [[nodiscard]] Asked to_be_asked() const;
  void on_changed(std::uint64_t number);
  void introduce(Version& version);
  void judge(const Round& round);
  void take_over(const Round& round);
  void fail(std::uint64_t number, const std::string& reason, const std::string& version);

  Plugin::Surroundings around_;
  HostOptions options_;
  Hooks hooks_;
  std::uint64_t last_number_ = 0;
  std::unique_ptr<Version> current_;
  std::unique_ptr<Version> candidate_;
  std::vector<std::unique_ptr<Version>> retiring_;
  PluginState without_ = PluginState::loading;  // the state while there is no current_
  std::string problem_ = "it is being loaded";
  std::string refused_version_;  // of what failed last
  std::string refused_newer_;    // why the file that is there now does not serve, while another version does
};

}  // namespace restream
