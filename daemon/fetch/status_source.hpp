// What stands behind the built-in fetcher in place of a plugin: called as one is, and answers with the items that the
// daemon says of itself. It does not answer until there is something new, so a channel of it costs nothing while
// nothing happens, and a poll of it is never in vain. Runs on: core.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fetch/introduction.hpp"
#include "fetch/plugin.hpp"
#include "model/clock.hpp"
#include "ops/core_loop.hpp"

namespace restream {

class StatusSource {
 public:
  // `items`: a JSON array, the same text as long as nothing has changed.
  StatusSource(CoreLoop loop, Clock clock, std::function<std::string()> items);
  ~StatusSource();
  StatusSource(const StatusSource&) = delete;
  StatusSource& operator=(const StatusSource&) = delete;

  // One at a time: there is one channel. `done` never comes from inside.
  void call(PluginCall call);
  // Nobody waits for it any more: it answers soon. False when there is none.
  bool cancel();

  static Introduction introduction();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace restream
