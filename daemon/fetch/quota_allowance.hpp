// One poll's permission from a budget. The budget's own.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fetch/quota_budget.hpp"

namespace restream {

class PollAllowance final : public Allowance {
 public:
  PollAllowance(std::shared_ptr<Budget> budget, Budget::Name channel, unsigned planned, bool paced, bool stops_all)
      : budget_(std::move(budget)),
        channel_(std::move(channel)),
        planned_(planned),
        paced_(paced),
        stops_all_(stops_all),
        reserved_(planned) {}

  bool take() override {
    const std::scoped_lock lock(mutex_);
    if (!budget_->take(reserved_)) return false;
    ++sent_;
    return true;
  }
  void end(unsigned requests) override { budget_->end(requests); }
  void answered(const std::vector<std::pair<std::string, std::string>>& headers, WallTime now,
                std::optional<Millis> retry_after, bool limited) override {
    budget_->answered(read_api_quota(headers, now), limited && stops_all_ ? retry_after : std::nullopt);
  }
  void finish() override {
    unsigned reserved = 0;
    unsigned sent = 0;
    {
      const std::scoped_lock lock(mutex_);
      std::swap(reserved, reserved_);
      sent = sent_;
    }
    const int more = paced_ ? static_cast<int>(sent) - static_cast<int>(planned_) : 0;
    budget_->finished(channel_, reserved, sent, more);
  }

 private:
  std::shared_ptr<Budget> budget_;
  Budget::Name channel_;
  const unsigned planned_;
  const bool paced_;
  const bool stops_all_;  // too many requests of this poll are too many of all
  std::mutex mutex_;
  unsigned reserved_;  // GUARDED_BY(mutex_): counted already, not sent yet
  unsigned sent_ = 0;  // GUARDED_BY(mutex_)
};

}  // namespace restream
