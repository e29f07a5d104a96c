// The plugins directory over time: watches it, looks at it when something happens there and every minute anyway, and
// hands out what to do about its files. Runs on: core.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "fetch/plugin_files.hpp"
#include "model/clock.hpp"
#include "ops/core_loop.hpp"
#include "ops/log.hpp"

namespace boost::asio {
class io_context;
}

namespace restream {

class PluginDirectory {
 public:
  struct Surroundings {
    boost::asio::io_context& io;
    CoreLoop loop;
    Clock clock;
    Log log;
  };

  // `act` is called from start(), rescan() and failed(), and at any time later.
  PluginDirectory(Surroundings surroundings, std::filesystem::path directory, std::function<void(FileAction)> act);
  ~PluginDirectory();
  PluginDirectory(const PluginDirectory&) = delete;
  PluginDirectory& operator=(const PluginDirectory&) = delete;

  // Hands out all files that are there, sorted by name. A directory that cannot be read is logged, and looked for
  // again.
  void start();
  // Looks at everything anew.
  void rescan();
  // A file that was added or replaced is no good: comes back as `refuse` once it has been quiet for long enough.
  void failed(const std::string& name, const std::string& reason);
  // Whether the file that is there now may be loaded, whatever is in it.
  [[nodiscard]] bool may_load(const std::string& name) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace restream
