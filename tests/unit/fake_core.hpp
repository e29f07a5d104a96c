// A core loop whose time the test moves: posted work runs at once in order, timed work when its time comes.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "ops/core_loop.hpp"

namespace restream {

class FakeCore {
 public:
  [[nodiscard]] CoreLoop loop() {
    return {
        .post = [this](std::move_only_function<void()> work) { posted_.push_back(std::move(work)); },
        .at = [this](SteadyTime due, std::move_only_function<void()> work) { timed_.emplace(due, std::move(work)); },
        .alarm = [this](std::function<void()> work) { return alarm(std::move(work)); }};
  }
  [[nodiscard]] Clock clock() {
    return {.steady = [this] { return now_; },
            .wall =
                [this] {
                  return WallTime(Seconds(1'800'000'000)) + wall_offset_ +
                         std::chrono::duration_cast<std::chrono::microseconds>(now_ - SteadyTime{});
                }};
  }

  void run() {
    while (!posted_.empty()) {
      auto work = std::move(posted_.front());
      posted_.pop_front();
      work();
    }
  }

  // Runs everything that is due on the way there, at its own time.
  void advance(Millis by) {
    const SteadyTime end = now_ + by;
    run();
    while (!timed_.empty() && timed_.begin()->first <= end) {
      auto node = timed_.extract(timed_.begin());
      now_ = std::max(now_, node.key());
      node.mapped()();
      run();
    }
    now_ = end;
  }

  // That wait for their time.
  [[nodiscard]] std::size_t timers() const { return timed_.size(); }

  // The wall clock alone jumps.
  void set_wall_back(Seconds by) { wall_offset_ -= by; }
  void set_wall_forward(Seconds by) { wall_offset_ += by; }

 private:
  using Timed = std::multimap<SteadyTime, std::move_only_function<void()>>;

  Alarm alarm(std::function<void()> work) {
    const auto set = std::make_shared<std::optional<Timed::iterator>>();
    return [this, set, work = std::move(work)](SteadyTime due) {
      if (*set) timed_.erase(**set);
      *set = timed_.emplace(due, [set, work] {
        set->reset();
        work();
      });
    };
  }

  SteadyTime now_{};
  Seconds wall_offset_{0};
  std::deque<std::move_only_function<void()>> posted_;
  Timed timed_;
};

}  // namespace restream
