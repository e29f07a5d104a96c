#include "channel/store_thread.hpp"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "model/text_hash.hpp"

namespace restream {

namespace {

constexpr std::size_t largest_group = 256;  // polls; each holds its result in memory
constexpr Millis longest_wait{200};         // of a schedule for a poll to go along with
constexpr Millis wait_after_failure{1000};

using SteadyClock = std::chrono::steady_clock;

struct PollJob {
  PollInput input;
  std::move_only_function<void(PollOutcome)> done;
};
struct ReadJob {
  std::move_only_function<void(Store&)> job;
  std::move_only_function<void(std::string)> failed;
};
struct QuotaJob {
  QuotaRecord record;
  std::move_only_function<void(bool)> done;
};
struct LetGoJob {
  std::string channel;
};
using Job = std::variant<PollJob, ReadJob, QuotaJob, LetGoJob, Write>;

// What is to be written of one channel besides its polls. Forgotten, and then wanted again, are two writes.
struct Waiting {
  bool forget = false;
  std::optional<ScheduleWrite> schedule;
};

}  // namespace

struct StoreThread::Impl {
  explicit Impl(std::unique_ptr<Store> kept) : store(std::move(kept)), committer(*store) {}

  void put(Job job) {
    const auto* write = std::get_if<Write>(&job);
    const bool patient = write != nullptr && std::holds_alternative<ScheduleWrite>(*write);
    bool comes_anyway = false;
    if (std::holds_alternative<PollJob>(job)) stats.waiting.add();
    {
      const std::lock_guard lock(mutex);
      jobs.push_back(std::move(job));
      comes_anyway = patient && dozing;
    }
    if (!comes_anyway) wake.notify_one();
  }

  // From here on: store thread only.
  void run();
  void take(PollJob job);
  void take(ReadJob job);
  void take(QuotaJob job) { quotas.push_back(std::move(job)); }
  void take(const LetGoJob& job);
  void take(Write write);
  void flush(bool all = false);
  void count_known();

  mutable std::mutex problem_mutex;
  std::string problem;  // GUARDED_BY(problem_mutex)
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> jobs;   // GUARDED_BY(mutex)
  bool stopping = false;  // GUARDED_BY(mutex)
  bool dozing = false;    // GUARDED_BY(mutex): the thread wakes by itself when `waiting` is due
  std::move_only_function<void(std::size_t)> tell_dropped;                        // GUARDED_BY(mutex)
  std::atomic<SteadyClock::time_point> patience{SteadyClock::time_point::max()};  // for polls

  Stats stats;
  std::unique_ptr<Store> store;
  Committer committer;
  std::vector<PollInput> polls;  // the group that is being gathered
  std::vector<std::move_only_function<void(PollOutcome)>> answers;
  TextSet<> polled;              // the channels in it
  std::vector<QuotaJob> quotas;  // spent before the group's polls are
  std::size_t dropped = 0;
  std::size_t counted_known = 0;  // of these the statistics know
  std::map<std::string, Waiting> waiting;
  bool failing = false;                        // the last transaction failed
  bool forgets = false;                        // a channel in `waiting` is to be forgotten
  std::optional<SteadyClock::time_point> due;  // when `waiting` is written at the latest
  std::thread thread;                          // last: starts when all else is there
};

void StoreThread::Impl::run() {
  pthread_setname_np(pthread_self(), "store");
  for (;;) {
    std::deque<Job> taken;
    bool last = false;
    {
      std::unique_lock lock(mutex);
      const auto something = [this] { return stopping || !jobs.empty(); };
      dozing = due.has_value();
      if (due)
        wake.wait_until(lock, *due, something);
      else
        wake.wait(lock, something);
      dozing = false;
      taken.swap(jobs);
      last = stopping;  // nothing is put once this is set
    }
    for (Job& job : taken) {
      std::visit([this](auto& one) { take(std::move(one)); }, job);
    }
    const bool overdue = due && SteadyClock::now() >= *due;
    if (!polls.empty() || !quotas.empty() || overdue) flush(overdue);
    if (!last) continue;
    if (!waiting.empty()) flush(true);
    if (dropped > 0) tell_dropped(dropped);
    return;
  }
}

void StoreThread::Impl::take(PollJob job) {
  if (SteadyClock::now() >= patience.load()) {
    ++dropped;
    stats.waiting.subtract(1);
    take(Write(ScheduleWrite{.channel = job.input.channel, .epoch = job.input.epoch, .schedule = job.input.schedule}));
    return;
  }
  if (polls.size() >= largest_group || polled.contains(job.input.channel)) flush();
  polled.insert(job.input.channel);
  polls.push_back(std::move(job.input));
  answers.push_back(std::move(job.done));
}

void StoreThread::Impl::take(ReadJob job) {
  if (!polls.empty() || forgets) flush();
  try {
    job.job(*store);
  } catch (const StoreError& error) {
    job.failed(error.what());
  }
}

void StoreThread::Impl::take(const LetGoJob& job) {
  if (polled.contains(job.channel)) flush();
  committer.let_go(job.channel);
  count_known();
}

void StoreThread::Impl::count_known() {
  // A smaller number than before wraps round, and so does the sum: it comes out right.
  stats.known.add(committer.known() - std::exchange(counted_known, committer.known()));
}

void StoreThread::Impl::take(Write write) {
  // In a transaction these come before the polls; this one must come after the poll of its channel.
  if (const std::string* channel = channel_of(write); channel != nullptr && polled.contains(*channel)) flush();
  if (auto* schedule = std::get_if<ScheduleWrite>(&write)) {
    waiting[schedule->channel].schedule = std::move(*schedule);
  } else if (const auto* forget = std::get_if<ForgetWrite>(&write)) {
    waiting[forget->channel] = Waiting{.forget = true, .schedule = {}};
    forgets = true;
  }
  if (!due) due = SteadyClock::now() + longest_wait;
}

// One transaction of all that was gathered; without `all`, schedules may wait for company.
void StoreThread::Impl::flush(bool all) {
  std::vector<Write> others;
  others.reserve(quotas.size() + waiting.size());
  for (QuotaJob& job : quotas) others.emplace_back(QuotaWrite{std::move(job.record)});
  for (auto& [channel, one] : waiting) {
    if (one.forget) others.emplace_back(ForgetWrite{channel});
    if (one.schedule) others.emplace_back(*one.schedule);
  }
  const SteadyClock::time_point begin = SteadyClock::now();
  const bool may_wait = !all && !failing && !forgets && quotas.empty();
  GroupOutcome outcome = committer.commit(polls, others, {.polls = !failing, .others = may_wait});
  if (outcome.written || !outcome.problem.empty()) stats.commits.add(SteadyClock::now() - begin);
  for (const PollOutcome& poll : outcome.polls) stats.diffs.add(poll.diff);
  stats.waiting.subtract(polls.size());
  if (!outcome.problem.empty()) stats.failures.add();
  failing = !outcome.problem.empty() || (failing && !outcome.written);
  if (outcome.written || !outcome.problem.empty()) {
    const std::lock_guard lock(problem_mutex);
    problem = outcome.problem;
  }
  if (outcome.written) {
    waiting.clear();
    forgets = false;
    due.reset();
  } else if (failing && !waiting.empty()) {
    due = SteadyClock::now() + wait_after_failure;
  }
  // Polls that found nothing new: their schedules wait for company.
  for (std::size_t i = 0; i < polls.size(); ++i) {
    if (!outcome.polls[i].deferred) continue;
    const PollInput& poll = polls[i];
    waiting[poll.channel].schedule =
        ScheduleWrite{.channel = poll.channel, .epoch = poll.epoch, .schedule = poll.schedule};
    if (!due) due = begin + longest_wait;
  }
  // The answers may be long in coming back as new jobs, never on this stack: the group is free again before they run.
  auto answering = std::exchange(answers, {});
  for (QuotaJob& job : std::exchange(quotas, {})) job.done(outcome.problem.empty());
  polls.clear();
  polled.clear();
  count_known();
  for (std::size_t i = 0; i < answering.size(); ++i) answering[i](std::move(outcome.polls[i]));
}

StoreThread::StoreThread(std::unique_ptr<Store> store) : impl_(std::make_unique<Impl>(std::move(store))) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

StoreThread::~StoreThread() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_one();
  impl_->thread.join();
}

void StoreThread::commit(PollInput poll, std::move_only_function<void(PollOutcome)> done) {
  impl_->put(PollJob{.input = std::move(poll), .done = std::move(done)});
}

void StoreThread::hurry(Millis within, std::move_only_function<void(std::size_t)> dropped) {
  const std::lock_guard lock(impl_->mutex);
  impl_->tell_dropped = std::move(dropped);
  impl_->patience = SteadyClock::now() + within;
}

const StoreThread::Stats& StoreThread::stats() const { return impl_->stats; }

std::string StoreThread::problem() const {
  const std::lock_guard lock(impl_->problem_mutex);
  return impl_->problem;
}

void StoreThread::let_go(std::string channel) { impl_->put(LetGoJob{std::move(channel)}); }

void StoreThread::write(Write write) { impl_->put(std::move(write)); }

void StoreThread::spend(QuotaRecord record, std::move_only_function<void(bool)> done) {
  impl_->put(QuotaJob{.record = std::move(record), .done = std::move(done)});
}

void StoreThread::read(std::move_only_function<void(Store&)> job, std::move_only_function<void(std::string)> failed) {
  impl_->put(ReadJob{.job = std::move(job), .failed = std::move(failed)});
}

}  // namespace restream
