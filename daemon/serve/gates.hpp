// Which connections of this thread take bytes straight away, and on which descriptor. Runs on: serve.
//
// An event goes to thousands of connections, whose own memory has left the CPU's caches since the last one; fetching it
// costs a tenth of what send() does. This is all that a plain connection with nothing queued needs of itself, four
// bytes for each, side by side.
#pragma once

#include <cstdint>
#include <vector>

namespace restream {

class Gates {
 public:
  static constexpr int shut = -1;
  using Number = std::uint32_t;

  Number take() {
    if (free_.empty()) {
      descriptors_.push_back(shut);
      return static_cast<Number>(descriptors_.size() - 1);
    }
    const Number number = free_.back();
    free_.pop_back();
    return number;
  }
  void give_back(Number number) {
    descriptors_[number] = shut;
    free_.push_back(number);
  }

  // A descriptor that whole frames may be sent to as it is, in order; or shut.
  void set(Number number, int descriptor) { descriptors_[number] = descriptor; }
  [[nodiscard]] int operator[](Number number) const { return descriptors_[number]; }

 private:
  std::vector<int> descriptors_;
  std::vector<Number> free_;
};

}  // namespace restream
