#include "workers.hpp"

#include <pthread.h>

#include <stdexcept>
#include <utility>

namespace restream::host {
namespace {

// Stacks count against the memory limit, used or not. Sanitized code needs several times the room.
#ifdef RESTREAM_SANITIZED
constexpr std::size_t stack_size = 4U << 20U;
#else
constexpr std::size_t stack_size = 512U << 10U;
#endif

}  // namespace

void Workers::submit(std::function<void()> job) {
  const std::scoped_lock lock(mutex_);
  jobs_.push_back(std::move(job));
  if (idle_ < jobs_.size() && threads_ < most) {
    if (start_thread())
      ++threads_;
    else if (threads_ == 0)
      throw std::runtime_error("no thread can be started to run a call on");
  }
  wake_.notify_one();
}

bool Workers::start_thread() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack_size);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread{};
  const int failed = pthread_create(&thread, &attributes, &thread_main, this);
  pthread_attr_destroy(&attributes);
  return failed == 0;
}

void* Workers::thread_main(void* workers) {
  static_cast<Workers*>(workers)->work();
  return nullptr;
}

void Workers::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [this] { return !jobs_.empty(); });
    --idle_;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace restream::host
