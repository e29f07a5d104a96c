// The threads that calls run on: made when needed, kept and reused, at most `most`. submit() runs on: main.
// It must live as long as the process: its threads never end.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>

namespace restream::host {

class Workers {
 public:
  static constexpr std::size_t most = 128;

  Workers() = default;
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Runs the job on a thread that has nothing else to do, or on the next that has. Throws when there is no thread at
  // all and none can be made.
  void submit(std::function<void()> job);

 private:
  static void* thread_main(void* workers);
  void work();
  bool start_thread();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::size_t threads_ = 0;
  std::size_t idle_ = 0;
};

}  // namespace restream::host
