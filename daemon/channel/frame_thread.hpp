// The frames thread: encodes what would keep core from everything else for too long. Owns the thread, which starts with
// the first job: most daemons never need one.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>

namespace restream {

class FrameThread {
 public:
  using Job = std::move_only_function<void(const std::stop_token& stop)>;

  FrameThread();
  // Tells the job that runs to stop, and waits for it; those that wait are dropped.
  ~FrameThread();
  FrameThread(const FrameThread&) = delete;
  FrameThread& operator=(const FrameThread&) = delete;

  // Core only. Jobs run in order, on the frames thread, and must not throw. Where no thread can be had they run at
  // once.
  void post(Job job);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace restream
