#include "channel/frame_thread.hpp"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>

namespace restream {

struct FrameThread::Impl {
  void run(const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "frames");
    for (;;) {
      Job job;
      {
        std::unique_lock lock(mutex);
        if (!wake.wait(lock, stop, [this] { return !jobs.empty(); }) || stop.stop_requested()) return;
        job = std::move(jobs.front());
        jobs.pop_front();
      }
      job(stop);
    }
  }

  std::mutex mutex;
  std::condition_variable_any wake;
  std::deque<Job> jobs;  // GUARDED_BY(mutex)
  std::jthread thread;   // last: it ends before what it uses
};

FrameThread::FrameThread() : impl_(std::make_unique<Impl>()) {}
FrameThread::~FrameThread() = default;

void FrameThread::post(Job job) {
  if (!impl_->thread.joinable()) {
    try {
      impl_->thread = std::jthread([impl = impl_.get()](const std::stop_token& stop) { impl->run(stop); });
    } catch (const std::system_error&) {
      return job({});  // no more threads are to be had for now
    }
  }
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->jobs.push_back(std::move(job));
  }
  impl_->wake.notify_one();
}

}  // namespace restream
