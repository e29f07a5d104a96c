// Who shares which budget, and whose poll is next: one budget per credential, across channels, params and fetchers.
//
// A fetcher joins as a member. Before each poll it asks; when the budget has room and the channel's turn has come it
// gets an Allowance, which every HTTP request of the poll asks again, on the http thread, before it is written to a
// connection. First polls go as long as there is anything left; all others wait in a fair queue (by weight), released
// evenly, so that they stretch to what is left. Nothing goes out that is not on disk already as spent.
//
// Runs on: core, but for the allowances' HttpBudget part.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fetch/quota.hpp"
#include "http/budget.hpp"
#include "model/clock.hpp"
#include "model/quota.hpp"
#include "ops/core_loop.hpp"

namespace restream {

// One poll's permission.
class Allowance : public HttpBudget {
 public:
  // Core: an answer has come. `limited`: its status means that there were too many requests.
  virtual void answered(const std::vector<std::pair<std::string, std::string>>& headers, WallTime now,
                        std::optional<Millis> retry_after, bool limited) = 0;
  // Core: the poll is over; what it did not use goes back. Once, before the last owner lets go.
  virtual void finish() = 0;
};

// What one fetcher counts against.
struct QuotaTerms {
  std::string credential;           // a keyed hash
  std::optional<QuotaLimit> limit;  // of metadata or configuration; nothing: what the API says alone
  bool whole_credential = true;     // a 429 with Retry-After concerns all channels, not the one that got it alone
};

struct QuotaView {
  std::optional<QuotaLimit> limit;
  std::optional<std::uint64_t> api_limit;
  std::optional<std::uint64_t> left;     // nothing: no limit is known
  std::optional<std::uint64_t> left_of;  // the limit of which that is left, where one is known
  std::optional<WallTime> renews;
  std::optional<WallTime> free;  // where nothing is left: when there is a call again
};

// What a channel that wants to be polled hears.
struct QuotaTurn {
  std::function<void(std::shared_ptr<Allowance>)> go;  // once; may come from inside ask()
  std::function<void(WallTime until)> wait;            // nothing is left until then
};

struct Budgets;  // in quota_book.cpp: all of them

// One fetcher's side. Leaves when it is destroyed.
class QuotaMember {
 public:
  ~QuotaMember();
  QuotaMember(const QuotaMember&) = delete;
  QuotaMember& operator=(const QuotaMember&) = delete;

  void set_terms(QuotaTerms terms);
  // `interval`: how often the channel would be polled with no quota. `first`: it has never been polled, or somebody
  // said "now": as soon as anything is left at all.
  void ask(const std::string& channel, Millis interval, bool first, QuotaTurn turn);
  // It waits, and must not be put off any more: as soon as anything is left at all.
  void hasten(const std::string& channel);
  // What it waits for is news to it again.
  void remind(const std::string& channel);
  void leave(const std::string& channel);  // no longer polled, or no longer asks
  void set_subscribers(const std::string& channel, std::size_t count);
  // How long from one poll to the next, with everybody else who shares the budget.
  [[nodiscard]] Millis stretched(const std::string& channel, Millis interval) const;
  [[nodiscard]] QuotaView view() const;

 private:
  friend class QuotaBook;
  struct Impl;  // in quota_book.cpp
  explicit QuotaMember(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class QuotaBook {
 public:
  struct Surroundings {
    CoreLoop loop;
    Clock clock;
    // Puts it on disk, then says on core whether it is there.
    std::function<void(QuotaRecord record, std::function<void(bool written)> done)> write;
  };

  QuotaBook(Surroundings surroundings, std::vector<QuotaRecord> kept);
  ~QuotaBook();
  QuotaBook(const QuotaBook&) = delete;
  QuotaBook& operator=(const QuotaBook&) = delete;

  // Members must go before the book.
  std::shared_ptr<QuotaMember> join();
  // For an orderly end: no call goes out any more, and exactly what was spent is written.
  void close();

 private:
  std::shared_ptr<Budgets> impl_;
};

}  // namespace restream
