#include "fetch/directory_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace restream {

namespace {

namespace asio = boost::asio;

// Not IN_MODIFY: a copy would send one for each write, and its end is told by IN_CLOSE_WRITE.
constexpr std::uint32_t interesting = IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                      IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::uint32_t writer_is_done = IN_CLOSE_WRITE | IN_MOVED_TO;

}  // namespace

struct DirectoryWatch::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& core, Changed on_change) : notifier(core), changed(std::move(on_change)) {
    const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
      problem = std::generic_category().message(errno);
    } else {
      notifier.assign(fd);
    }
  }

  std::string aim(const std::filesystem::path& directory) {
    if (!notifier.is_open()) return problem;
    // The same directory keeps its number.
    const int number = inotify_add_watch(notifier.native_handle(), directory.c_str(), interesting);
    const int error = errno;
    if (watched >= 0 && watched != number) inotify_rm_watch(notifier.native_handle(), watched);
    watched = number;
    return number < 0 ? std::generic_category().message(error) : std::string();
  }

  void wait() {
    if (!notifier.is_open()) return;
    notifier.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this()](const boost::system::error_code& canceled) {
                          if (canceled) return;
                          self->read();
                          self->wait();
                        });
  }

  void read() {
    std::set<std::string> finished;
    bool any = false;
    alignas(inotify_event) std::array<char, 16384> bytes;
    for (;;) {
      const ssize_t size = ::read(notifier.native_handle(), bytes.data(), bytes.size());
      if (size <= 0) break;
      any = true;
      for (const char* at = bytes.data(); at < bytes.data() + size;) {
        inotify_event event{};
        std::memcpy(&event, at, sizeof event);
        if ((event.mask & writer_is_done) != 0 && event.len > 0) finished.emplace(at + sizeof event);
        at += sizeof event + event.len;
      }
    }
    if (any && changed) changed(std::move(finished));
  }

  asio::posix::stream_descriptor notifier;
  Changed changed;
  std::string problem;
  int watched = -1;
};

DirectoryWatch::DirectoryWatch(asio::io_context& core, Changed changed)
    : impl_(std::make_shared<Impl>(core, std::move(changed))) {
  impl_->wait();
}

DirectoryWatch::~DirectoryWatch() {
  impl_->changed = nullptr;
  boost::system::error_code ignored;
  impl_->notifier.close(ignored);
}

std::string DirectoryWatch::aim(const std::filesystem::path& directory) { return impl_->aim(directory); }

}  // namespace restream
