#include "fetch/kept_plugin.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace restream {

namespace {

struct Fd {
  int value;
  ~Fd() {
    if (value >= 0) close(value);
  }
};

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

std::unexpected<std::string> failed(const std::string& what) {
  return std::unexpected(what + ": " + std::generic_category().message(errno));
}

// All of `from`, from its beginning.
bool copy(int from, int to) {
  struct stat status{};
  if (fstat(from, &status) != 0) return false;
  off_t at = 0;
  while (at < status.st_size) {
    const ssize_t count = sendfile(to, from, &at, static_cast<std::size_t>(status.st_size - at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
  }
  return true;
}

}  // namespace

FileStamp stamp_in(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

std::optional<FileStamp> stamp_of(const std::filesystem::path& path) {
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) return std::nullopt;
  return stamp_in(status);
}

std::expected<KeptPlugin, std::string> KeptPlugin::keep(const std::filesystem::path& path, const FileStamp& stamp) {
  const Fd file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (file.value < 0) return failed("open");
  KeptPlugin kept(memfd_create("plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (kept.fd_ < 0) return failed("memfd_create");
  if (!copy(file.value, kept.fd_)) return failed("copying it");
  // Asked last, of the open file: what was copied had this stamp all the while.
  struct stat status{};
  if (fstat(file.value, &status) != 0 || stamp_in(status) != stamp) return std::unexpected("it has changed");
  fcntl(kept.fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  return kept;
}

std::expected<void, std::string> KeptPlugin::write(const std::filesystem::path& path) const {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return failed("unlink " + path.string());
  const Fd file{open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR)};
  if (file.value < 0) return failed("open " + path.string());
  if (!copy(fd_, file.value)) return failed("write " + path.string());
  return {};
}

KeptPlugin::KeptPlugin(KeptPlugin&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
KeptPlugin& KeptPlugin::operator=(KeptPlugin&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
KeptPlugin::~KeptPlugin() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace restream
