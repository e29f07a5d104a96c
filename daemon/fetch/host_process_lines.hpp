// What a fetcher host prints and logs, made fit for the daemon's log. Pure. Runs on: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/clock.hpp"

namespace restream {

// At most 4 KiB of UTF-8 without control characters: a plugin forges no second line and no terminal sequence.
std::string clean_line(std::string_view raw);

// Cuts a stream into lines. It holds no more than one line of 4 KiB; what a longer one has beyond is dropped.
class LineSplitter {
 public:
  // The lines that end in these bytes, without their line ends. Empty ones are left out.
  std::vector<std::string> feed(std::string_view bytes);

  // The line that no line end follows, or an empty one.
  std::string rest();

 private:
  void keep(std::string_view part);

  std::string line_;
};

// So much in any one second, counted from the first of it.
class PerSecond {
 public:
  explicit PerSecond(std::uint64_t most) : most_(most) {}

  // False once there was more than `most` in this second.
  bool spend(SteadyTime now, std::uint64_t amount) {
    if (now >= renews_) {
      renews_ = now + Seconds(1);
      used_ = 0;
    }
    used_ += amount;
    return used_ <= most_;
  }
  [[nodiscard]] SteadyTime renews() const { return renews_; }

 private:
  std::uint64_t most_;
  std::uint64_t used_ = 0;
  SteadyTime renews_ = SteadyTime::min();
};

}  // namespace restream
