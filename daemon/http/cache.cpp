#include "http/cache.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "http/cache_file.hpp"

namespace restream {

namespace {

namespace fs = std::filesystem;

// What an entry costs besides its texts, roughly.
constexpr std::size_t overhead = 512;

constexpr std::chrono::minutes first_guess{10};      // of the time between two uses
constexpr std::chrono::minutes shortest_between{1};  // several requests of one poll are no rhythm
constexpr int most_looked_at = 16;                   // for room: so many of those that went unused longest

std::size_t cost(const CachedAnswer& answer) {
  std::size_t bytes = overhead + answer.body.size();
  for (const auto& [name, value] : answer.headers) bytes += name.size() + value.size();
  return bytes;
}

bool is_entry_name(const std::string& name) {
  return name.size() == 32 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool write_file(const fs::path& path, const std::string& bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return false;
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t now = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (now <= 0) break;
    done += static_cast<std::size_t>(now);
  }
  return ::close(fd) == 0 && done == bytes.size();
}

}  // namespace

HttpCache::HttpCache(fs::path directory, KeyedHash hash, std::size_t capacity, std::function<SteadyTime()> now)
    : directory_(std::move(directory)), hash_(hash), capacity_(capacity), now_(std::move(now)) {
  if (directory_.empty()) return;
  ::mkdir(directory_.c_str(), 0700);
  load();
  // Signals are the main thread's affair.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  writer_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

HttpCache::~HttpCache() {
  if (!writer_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

// The newest files, up to the capacity; everything else in the directory that bears an entry's name goes.
void HttpCache::load() {
  struct Found {
    fs::file_time_type time;
    fs::path path;
  };
  std::vector<Found> files;
  std::error_code failed;
  for (fs::directory_iterator at(directory_, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    std::error_code ignored;
    if (name.ends_with(".new") && is_entry_name(name.substr(0, name.size() - 4))) fs::remove(at->path(), ignored);
    if (is_entry_name(name)) files.push_back({at->last_write_time(ignored), at->path()});
  }
  std::ranges::sort(files, std::greater(), &Found::time);
  std::vector<std::pair<std::string, std::shared_ptr<const CachedAnswer>>> kept;
  std::size_t total = 0;
  for (const Found& file : files) {
    const std::string name = file.path.filename().string();
    std::error_code ignored;
    const auto size = fs::file_size(file.path, ignored);
    std::optional<CachedAnswer> answer;
    if (!ignored && total + size <= capacity_) {
      std::ifstream in(file.path, std::ios::binary);
      std::string bytes(static_cast<std::size_t>(size), '\0');
      if (in.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
        answer = read_cache_file(name, bytes, hash_);
    }
    if (answer && total + cost(*answer) <= capacity_) {
      total += cost(*answer);
      kept.emplace_back(name, std::make_shared<const CachedAnswer>(std::move(*answer)));
    } else {
      fs::remove(file.path, ignored);
    }
  }
  for (auto& [name, answer] : kept) {  // newest first, so each goes in front of those before it
    uses_.push_front(name);
    bytes_ += cost(*answer);
    entries_.emplace(name, Entry{std::move(answer), uses_.begin(), now_(), first_guess});
  }
}

std::shared_ptr<const CachedAnswer> HttpCache::find(const std::string& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return nullptr;
  Entry& entry = found->second;
  uses_.splice(uses_.end(), uses_, entry.use);
  const SteadyTime now = now_();
  entry.between = std::max<SteadyTime::duration>(now - entry.used, shortest_between);
  entry.used = now;
  return entry.answer;
}

bool HttpCache::is_idle(const Entry& entry) const { return now_() - entry.used > 2 * entry.between; }

// False, and nothing has happened or something idle has gone, when there is not enough that is idle.
bool HttpCache::make_room(std::size_t bytes) {
  auto at = uses_.begin();
  for (int looked = 0; bytes_ + bytes > capacity_; ++looked) {
    if (looked == most_looked_at || at == uses_.end()) return false;
    const std::string name = *at++;
    if (is_idle(entries_.at(name))) drop(name);
  }
  return true;
}

void HttpCache::put(const std::string& name, CachedAnswer answer) {
  // One answer does not push all others out.
  if (cost(answer) > capacity_ / 4) return drop(name);
  keep(name, std::make_shared<const CachedAnswer>(std::move(answer)));
}

void HttpCache::keep(const std::string& name, std::shared_ptr<const CachedAnswer> answer) {
  if (!entries_.contains(name) && !make_room(cost(*answer))) return;
  const auto [place, fresh] = entries_.try_emplace(name);
  if (fresh) {
    uses_.push_back(name);
    place->second.use = std::prev(uses_.end());
    place->second.used = now_();
    place->second.between = first_guess;
  } else {
    bytes_ -= cost(*place->second.answer);
    uses_.splice(uses_.end(), uses_, place->second.use);
  }
  bytes_ += cost(*answer);
  place->second.answer = answer;
  write_later(name, std::move(answer));
  while (bytes_ > capacity_) drop(std::string(uses_.front()));
}

void HttpCache::drop(const std::string& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  bytes_ -= cost(*found->second.answer);
  uses_.erase(found->second.use);
  entries_.erase(found);
  write_later(name, nullptr);
}

void HttpCache::write_later(const std::string& name, std::shared_ptr<const CachedAnswer> answer) {
  if (directory_.empty()) return;
  {
    const std::scoped_lock lock(mutex_);
    jobs_[name] = std::move(answer);
  }
  wake_.notify_one();
}

void HttpCache::run() {
  pthread_setname_np(pthread_self(), "http-cache");
  while (true) {
    std::map<std::string, std::shared_ptr<const CachedAnswer>> jobs;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      jobs.swap(jobs_);
      if (jobs.empty()) return;
    }
    for (const auto& [name, answer] : jobs) {
      const fs::path path = directory_ / name;
      fs::path fresh = path;
      fresh += ".new";
      std::error_code ignored;
      if (!answer) {
        fs::remove(path, ignored);
      } else if (write_file(fresh, cache_file_bytes(name, *answer, hash_))) {
        fs::rename(fresh, path, ignored);
      } else {
        fs::remove(fresh, ignored);  // the file before it stays: an older validator with the body it belongs to
      }
    }
  }
}

}  // namespace restream
