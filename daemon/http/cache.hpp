// The answers that can be asked for again with "only if it has changed": bodies with their validators, bounded in
// bytes. When there is no room, those make some that have gone unused for twice the time between their last two uses; a
// newcomer for whom that is not enough is not kept. (What is polled comes round: to throw out what is asked for next
// for what has just been asked for would leave nothing that is ever found.) Runs on: http, but for the constructor,
// which reads the files, and the writer.
//
// In memory, and each in a file of its own, which one thread of the cache's writes behind. Validators and body are one
// value in memory and one file on disk with a keyed hash over all of it: a file that was cut, altered, or moved to
// another's name is dropped when it is read, so a validator never meets another body, also without a single fsync.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "http/http_client.hpp"
#include "http/keyed_hash.hpp"
#include "model/clock.hpp"

namespace restream {

struct CachedAnswer {
  HttpHeaders headers;  // ETag and Last-Modified are among them
  std::string body;
};

class HttpCache {
 public:
  // `directory` is made if need be; empty: in memory alone. What cannot be read or written is done without.
  HttpCache(std::filesystem::path directory, KeyedHash hash, std::size_t capacity,
            std::function<SteadyTime()> now = std::chrono::steady_clock::now);
  // Writes what is still to be written.
  ~HttpCache();
  HttpCache(const HttpCache&) = delete;
  HttpCache& operator=(const HttpCache&) = delete;

  // The name of what `subject` says (cache_rules.hpp).
  [[nodiscard]] std::string name_of(std::string_view subject) const { return hash_.name(subject); }

  [[nodiscard]] std::shared_ptr<const CachedAnswer> find(const std::string& name);
  void put(const std::string& name, CachedAnswer answer);
  void drop(const std::string& name);

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::shared_ptr<const CachedAnswer> answer;
    std::list<std::string>::iterator use;
    SteadyTime used;
    SteadyTime::duration between;  // its last two uses; a guess before there were two
  };
  [[nodiscard]] bool is_idle(const Entry& entry) const;
  bool make_room(std::size_t bytes);
  void load();
  void keep(const std::string& name, std::shared_ptr<const CachedAnswer> answer);
  void write_later(const std::string& name, std::shared_ptr<const CachedAnswer> answer);  // null: remove the file
  void run();

  const std::filesystem::path directory_;
  const KeyedHash hash_;
  const std::size_t capacity_;
  const std::function<SteadyTime()> now_;

  std::unordered_map<std::string, Entry> entries_;
  std::list<std::string> uses_;  // the longest unused first
  std::size_t bytes_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, std::shared_ptr<const CachedAnswer>> jobs_;  // GUARDED_BY(mutex_): the newest of each name
  bool stopping_ = false;                                            // GUARDED_BY(mutex_)
  std::thread writer_;
};

}  // namespace restream
