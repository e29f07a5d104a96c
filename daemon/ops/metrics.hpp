// Numbers for Prometheus: counters and histograms that any thread may raise, and their text form.
//
// There is no registry: each room has a plain struct of what it counts, hands out a reference, and whoever answers
// GET /metrics writes them all down in one place. Counters are relaxed atomics: each number is right by itself, and
// two of them may be a moment apart.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "model/clock.hpp"

namespace restream {

class Counter {
 public:
  void add(std::uint64_t more = 1) { value_.fetch_add(more, std::memory_order_relaxed); }
  void subtract(std::uint64_t less) { value_.fetch_sub(less, std::memory_order_relaxed); }  // for gauges
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Durations, in buckets from 1 ms to 60 s.
class DurationHistogram {
 public:
  static constexpr std::array<double, 12> bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15, 60};

  void add(std::chrono::nanoseconds duration);

 private:
  friend class MetricsText;
  std::array<Counter, bounds.size() + 1> buckets_;  // the last one: longer than all bounds
  Counter nanoseconds_;
};

// The text exposition format, version 0.0.4.
class MetricsText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  enum class Type : std::uint8_t { counter, gauge, histogram };

  // All samples of a family follow its head. `name` without the prefix, in base units; counters end with _total.
  void family(std::string_view name, Type type, std::string_view help);
  void sample(double value, Labels labels = {});
  void sample(std::uint64_t value, Labels labels = {});
  void sample(const DurationHistogram& histogram, Labels labels = {});

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void line(std::string_view suffix, Labels labels, std::string_view bound, const std::string& value);

  std::string text_;
  std::string name_;
};

}  // namespace restream
