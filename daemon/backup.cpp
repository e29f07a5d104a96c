#include "backup.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

namespace restream {

namespace {

namespace fs = std::filesystem;

// What the store's records are named with, and the newest keystore that was seen. They change seldom or never.
constexpr const char* beside_the_store[] = {"hash.key", "keystore.seen"};

std::expected<void, std::string> copy_small_files(const fs::path& state, const fs::path& to) {
  if (::mkdir(to.c_str(), 0700) != 0 && errno != EEXIST)
    return std::unexpected("cannot make " + to.string() + ": " + std::strerror(errno));
  for (const char* name : beside_the_store) {
    std::error_code error;
    if (!fs::exists(state / name, error)) continue;
    fs::copy_file(state / name, to / name, fs::copy_options::overwrite_existing, error);
    if (error) return std::unexpected("cannot write " + (to / name).string() + ": " + error.message());
  }
  return {};
}

// A step of the copy is a job among the store thread's others, which come in between.
struct Copying : std::enable_shared_from_this<Copying> {
  Copying(StoreThread& thread, fs::path where,
          std::move_only_function<void(std::expected<std::string, std::string>)> then)
      : store(thread), to(std::move(where)), done(std::move(then)) {}

  void next() {
    store.read(
        [self = shared_from_this()](Store& kept) {
          if (!self->copy) self->copy = kept.copy(self->to);
          if (!self->copy->step()) return self->next();
          self->copy.reset();
          self->done("the state as of now is in " + self->to.string() +
                     "; copy that directory and the keystore's file to where your backups are");
        },
        [self = shared_from_this()](const std::string& problem) {
          self->copy.reset();
          self->done(std::unexpected(problem));
        });
  }

  StoreThread& store;
  fs::path to;
  std::move_only_function<void(std::expected<std::string, std::string>)> done;
  std::unique_ptr<StoreCopy> copy;
};

}  // namespace

void back_up(StoreThread& store, const fs::path& state,
             std::move_only_function<void(std::expected<std::string, std::string>)> done) {
  const fs::path to = state / "backup";
  if (auto copied = copy_small_files(state, to); !copied) return done(std::unexpected(copied.error()));
  std::make_shared<Copying>(store, to, std::move(done))->next();
}

}  // namespace restream
