// Tells of changes in one directory, by inotify. Runs on: core. Owns the inotify descriptor.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>

namespace boost::asio {
class io_context;
}

namespace restream {

class DirectoryWatch {
 public:
  // `changed` gets the names of files whose writer has closed them or that were moved in; it is empty for any other
  // change, and when changes were lost because there were too many. Not called from inside aim(), nor after the
  // destructor.
  using Changed = std::function<void(std::set<std::string> finished)>;

  DirectoryWatch(boost::asio::io_context& core, Changed changed);
  ~DirectoryWatch();
  DirectoryWatch(const DirectoryWatch&) = delete;
  DirectoryWatch& operator=(const DirectoryWatch&) = delete;

  // Watches what is at this path now: again after every time it may have been another directory. Empty when it does,
  // otherwise why not.
  std::string aim(const std::filesystem::path& directory);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace restream
