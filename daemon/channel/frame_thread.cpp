#include "channel/frame_thread.hpp"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace restream {

struct FrameThread::Impl {
  void run() {
    pthread_setname_np(pthread_self(), "frames");
    for (;;) {
      std::move_only_function<void()> job;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return stopping || !jobs.empty(); });
        if (stopping) return;
        job = std::move(jobs.front());
        jobs.pop_front();
      }
      job();
    }
  }

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::move_only_function<void()>> jobs;  // GUARDED_BY(mutex)
  bool stopping = false;                             // GUARDED_BY(mutex)
  std::thread thread;
};

FrameThread::FrameThread() : impl_(std::make_unique<Impl>()) {}

FrameThread::~FrameThread() {
  if (!impl_->thread.joinable()) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_one();
  impl_->thread.join();
}

void FrameThread::post(std::move_only_function<void()> job) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->jobs.push_back(std::move(job));
  }
  impl_->wake.notify_one();
  if (!impl_->thread.joinable()) impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

}  // namespace restream
