// One credential's calls against its limits: pure, state and time in, decision out. No clock, no lock.
//
// Limits hold in *any* window: between the end of a call and the start of the first one that takes its place lies a
// whole window, so wherever the API's own windows begin, and however long calls are under way, no window of the API's
// ever sees more than the limit. docs/politeness.md has the formulas.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/clock.hpp"
#include "model/quota.hpp"

namespace restream {

struct QuotaLimit {
  std::uint64_t calls = 0;
  Millis per{};

  bool operator==(const QuotaLimit&) const = default;
};

// What an API said of the limit in an answer's headers.
struct ApiQuota {
  std::optional<std::uint64_t> limit;
  std::optional<std::uint64_t> left;
  std::optional<Millis> renews_in;  // at most 24 hours
};

// X-RateLimit-* (also X-Rate-Limit-*; the reset in seconds, or as a time in seconds or milliseconds since 1970),
// RateLimit-* and RateLimit with RateLimit-Policy. Names in lower case. Of several limits the one with the least left.
ApiQuota read_api_quota(const std::vector<std::pair<std::string, std::string>>& headers, WallTime now);

class Quota {
 public:
  // Calls made so far still count in a window that stays.
  void set_limits(std::vector<QuotaLimit> limits);
  [[nodiscard]] const std::vector<QuotaLimit>& limits() const { return limits_; }

  // Counts calls as under way, if all limits have room for them at once.
  bool take(unsigned calls, SteadyTime now);
  void end(unsigned calls, SteadyTime now);  // of those under way: the API has counted them by now
  void give_back(unsigned calls);            // of those under way: they were never sent
  // Whether one of those that were taken, and not sent yet, may go all the same: what the API has said since then may
  // leave no room for it.
  [[nodiscard]] bool still_allows(SteadyTime now);

  // An answer has come; `pending` calls of ours are still under way and may or may not be counted in it.
  void answered(const ApiQuota& said, SteadyTime now);
  // No call at all before this.
  void block(SteadyTime until);

  // Nothing: no limit is known.
  [[nodiscard]] std::optional<std::uint64_t> left(SteadyTime now);
  // The limit of which that is left: the API's, where it says which, or that of one of the windows.
  [[nodiscard]] std::optional<std::uint64_t> left_of(SteadyTime now);
  // When the next of the counted calls comes back; nothing when none is counted.
  [[nodiscard]] std::optional<SteadyTime> renews(SteadyTime now);
  [[nodiscard]] std::optional<std::uint64_t> api_limit() const { return api_limit_; }

  // When so many may be taken, at the earliest (calls under way may delay it further).
  [[nodiscard]] SteadyTime free_at(unsigned calls, SteadyTime now);
  // The same for calls that can wait: they leave the reserve alone and are spread evenly over what is left.
  [[nodiscard]] SteadyTime paced_at(unsigned calls, SteadyTime now);
  void paced(unsigned calls, SteadyTime now);  // such calls have been taken
  void repace(int calls, SteadyTime now);      // so many more (or fewer) than was said

  // Paced calls per millisecond, in the long run; infinite without limits.
  [[nodiscard]] double rate(SteadyTime now) const;

  // For the store. `ahead` is the caller's.
  [[nodiscard]] QuotaRecord record(SteadyTime now, WallTime wall);
  // What was kept of the time before the start; `ahead` counts as called now. Before the first set_limits().
  void restore(const QuotaRecord& kept, SteadyTime now, WallTime wall);

 private:
  struct Use {
    SteadyTime end;
    std::uint64_t calls = 0;
  };
  struct Window {
    QuotaLimit limit;
    std::deque<Use> uses;
    std::uint64_t used = 0;  // sum of uses
  };
  void expire(SteadyTime now);
  static void add(Window& window, std::uint64_t calls, SteadyTime end);
  [[nodiscard]] SteadyTime free_at(const Window& window, std::uint64_t most, unsigned calls, SteadyTime now) const;
  [[nodiscard]] double spacing(SteadyTime now) const;
  [[nodiscard]] bool api_holds(SteadyTime now) const { return api_left_ && api_renews_ > now; }
  [[nodiscard]] std::uint64_t api_free() const {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, *api_left_));
  }

  std::vector<QuotaLimit> limits_;
  std::vector<Window> windows_;
  std::vector<Window> kept_;  // of limits that are not known, or not any more
  Use restored_ahead_;
  std::uint64_t under_way_ = 0;
  // What the API said is left less what is under way: below 0 when more was taken than the API turned out to have.
  std::optional<std::int64_t> api_left_;
  SteadyTime api_renews_;
  std::optional<std::uint64_t> api_limit_;
  std::optional<SteadyTime> blocked_;
  std::optional<SteadyTime> last_paced_;  // when the last paced call went out, or would have, had they come singly
};

// A channel's part in a budget.
struct QuotaDemand {
  double rate = 0;    // calls per millisecond that it would make if it were alone
  double weight = 1;  // by its subscribers
};

// Of 1 for one subscriber, 2 for two, 3 for four … at most 8.
double quota_weight(std::size_t subscribers);

// The calls per millisecond that weight 1 may make so that all together make `rate`, none of them more than its own;
// infinite when there is enough for all.
double fair_share(std::span<const QuotaDemand> demands, double rate);

}  // namespace restream
