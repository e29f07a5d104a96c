// The frames thread: encodes what would keep core from everything else for too long. Owns the thread, which starts with
// the first job: most daemons never need one.
#pragma once

#include <functional>
#include <memory>

namespace restream {

class FrameThread {
 public:
  FrameThread();
  // Waits for the job that runs; those that wait are dropped.
  ~FrameThread();
  FrameThread(const FrameThread&) = delete;
  FrameThread& operator=(const FrameThread&) = delete;

  // Core only. Jobs run in order, on the frames thread, and must not throw.
  void post(std::move_only_function<void()> job);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace restream
