#include "fetch/plugin_directory.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <set>
#include <utility>

#include "fetch/directory_watch.hpp"
#include "fetch/plugin_scan.hpp"

namespace restream {

namespace {

constexpr Seconds rescan_interval{60};
constexpr Seconds rescan_interval_without_directory{5};  // nothing tells when it is back
constexpr Millis gathering{20};                          // one copy makes several events

}  // namespace

struct PluginDirectory::Impl : std::enable_shared_from_this<Impl> {
  Impl(Surroundings given, std::filesystem::path where, std::function<void(FileAction)> hand_out)
      : around(std::move(given)),
        directory(std::move(where)),
        act(std::move(hand_out)),
        watch(around.io, [this](const std::set<std::string>& names) { on_change(names); }) {}

  void on_change(const std::set<std::string>& names) {
    for (const std::string& name : names)
      if (name.ends_with(".so")) finished.insert(name.substr(0, name.size() - 3));
    look_at(around.clock.steady() + gathering);
  }

  // The earliest time asked for wins; what is asked for later is asked for again by that look.
  void look_at(SteadyTime due) {
    if (next_look && *next_look <= due) return;
    next_look = due;
    around.loop.at(due, [weak = weak_from_this(), due] {
      const auto self = weak.lock();
      if (self && self->next_look == due) self->look();
    });
  }

  void look(bool starting = false) {
    next_look.reset();
    const SteadyTime now = around.clock.steady();
    // Watched first: what happens between the two is seen twice rather than never.
    const std::string unwatched = watch.aim(directory);
    DirectoryView there = scan_plugins(directory, geteuid());
    complain(there, unwatched);
    Decision decision = decide(std::move(known), there, std::exchange(finished, {}), now, starting);
    known = std::move(decision.known);
    look_at(now + (unwatched.empty() ? rescan_interval : rescan_interval_without_directory));
    if (decision.look_again) look_at(*decision.look_again);
    for (FileAction& action : decision.actions) act(std::move(action));
  }

  // Once for each change of what is wrong.
  void complain(const DirectoryView& there, const std::string& unwatched) {
    std::string now_wrong = there.problem;
    if (now_wrong.empty() && !unwatched.empty()) now_wrong = "cannot be watched: " + unwatched;
    if (now_wrong == wrong) return;
    wrong = std::move(now_wrong);
    if (wrong.empty()) return around.log.info("plugins.directory is fine", {{"directory", directory.string()}});
    around.log.error("plugins.directory is not as it must be; it is looked at again every minute, and at SIGHUP",
                     {{"directory", directory.string()}, {"reason", wrong}});
  }

  void failed(const std::string& name, const std::string& reason) {
    if (const auto due = remember_verdict(known, name, reason)) look_at(*due);
  }

  [[nodiscard]] bool may_load(const std::string& name) const {
    const DirectoryView there = scan_plugins(directory, geteuid());
    return there.problem.empty() && std::ranges::any_of(there.files, [&name](const SeenFile& file) {
             return file.name == name && file.problem.empty();
           });
  }

  Surroundings around;
  std::filesystem::path directory;
  std::function<void(FileAction)> act;
  KnownFiles known;
  std::set<std::string> finished;  // since the last look
  std::optional<SteadyTime> next_look;
  std::string wrong;
  DirectoryWatch watch;
};

PluginDirectory::PluginDirectory(Surroundings surroundings, std::filesystem::path directory,
                                 std::function<void(FileAction)> act)
    : impl_(std::make_shared<Impl>(std::move(surroundings), std::move(directory), std::move(act))) {}
PluginDirectory::~PluginDirectory() = default;
void PluginDirectory::start() { impl_->look(true); }
void PluginDirectory::rescan() { impl_->look(); }
void PluginDirectory::failed(const std::string& name, const std::string& reason) { impl_->failed(name, reason); }
bool PluginDirectory::may_load(const std::string& name) const { return impl_->may_load(name); }

}  // namespace restream
