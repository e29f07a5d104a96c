// One credential's budget: its quota behind a lock, and the channels that wait for it. The book's own.
//
// Runs on: core. What is GUARDED_BY(mutex) is also used on the http thread, through allowances.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fetch/quota_book.hpp"

namespace restream {

class Budget : public std::enable_shared_from_this<Budget> {
 public:
  using Owner = const void*;                   // the member
  using Name = std::pair<Owner, std::string>;  // a channel of a member

  Budget(std::string credential, QuotaBook::Surroundings surroundings, const QuotaRecord* kept);

  // `whole_credential`: see QuotaTerms.
  void set_terms(Owner owner, std::optional<QuotaLimit> limit, bool whole_credential);
  // A channel on its way from one budget to another.
  struct Moving {
    Name name;
    double weight = 1;
    double cost = 1;
    Millis interval{};
    bool first = false;
    std::optional<QuotaTurn> turn;  // while it waits
  };
  // Takes a member's channels out.
  std::vector<Moving> remove(Owner owner);
  void take_over(Moving one);

  void ask(const Name& channel, Millis interval, bool first, QuotaTurn turn);
  void hasten(const Name& channel);
  void remind(const Name& channel);
  void leave(const Name& channel);
  void set_subscribers(const Name& channel, std::size_t count);
  [[nodiscard]] Millis stretched(const Name& channel, Millis interval);
  [[nodiscard]] QuotaView view();
  void close();

  // --- for allowances ---
  bool take(unsigned& reserved);  // http thread
  void end(unsigned requests);    // http thread
  void answered(const ApiQuota& said, std::optional<Millis> block);
  // `more`: than were paced for.
  void finished(const Name& channel, unsigned reserved, unsigned sent, int more);

 private:
  struct Channel {
    double weight = 1;
    double cost = 1;    // requests of a poll, on average
    double begin = 0;   // virtual time from which it may go
    double finish = 0;  // virtual time until which its share is spent
    Millis interval{3'600'000};
    std::optional<QuotaTurn> turn;  // while it waits
    bool first = false;
    bool told = false;  // that nothing is left
  };
  // First polls in front, then by virtual finish.
  using Place = std::pair<std::pair<int, double>, Name>;

  static Place place_of(const Channel& channel, const Name& name) {
    return {{channel.first ? 0 : 1, channel.finish}, name};
  }
  Channel& find_or_make(const Name& name);
  Place next();
  void pump();
  void wake_at(SteadyTime time);
  void tell_waiting(SteadyTime until);
  bool covered(unsigned calls);
  void write(std::uint64_t needed = 0);
  [[nodiscard]] bool is_closed();
  [[nodiscard]] unsigned cost_of(const Channel& channel);

  const std::string credential_;
  QuotaBook::Surroundings around_;
  struct Terms {
    std::optional<QuotaLimit> limit;
    bool whole_credential = true;
  };
  std::map<Owner, Terms> owners_;
  std::map<Name, Channel> channels_;
  std::set<Place> queue_;
  double virtual_time_ = 0;         // goes on by 1 while each of weight 1 makes one call
  double weights_ = 0;              // sum over channels_
  std::optional<SteadyTime> wake_;  // what the alarm is set to
  Alarm alarm_;                     // null until it is needed
  bool pumping_ = false;
  bool writing_ = false;
  double share_ = 0;  // of weight 1, as of share_time_
  std::optional<SteadyTime> share_time_;

  std::mutex mutex_;
  Quota quota_;                // GUARDED_BY(mutex_)
  std::uint64_t covered_ = 0;  // GUARDED_BY(mutex_): calls that the store already knows as spent
  std::uint64_t advance_ = 0;  // GUARDED_BY(mutex_): how many it is told in advance; 0: no limit, nothing to keep
  bool topping_up_ = false;    // GUARDED_BY(mutex_): core was asked to write some more in advance
  bool closed_ = false;        // GUARDED_BY(mutex_)
};

}  // namespace restream
