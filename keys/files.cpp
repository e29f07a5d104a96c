#include "keys/files.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <system_error>
#include <utility>

#include "keys/shell_word.hpp"

namespace restream::keys {

namespace {

constexpr std::string_view kServiceUser = "restream";

KeysError not_private(std::string message) { return {KeysErrorKind::permissions, std::move(message)}; }

std::string octal(mode_t mode) {
  std::string text = "0000";
  for (std::size_t i = 0; i < 3; ++i) text[3 - i] = static_cast<char>('0' + (mode >> (3 * i) & 7));
  return text;
}

std::expected<void, KeysError> check_file(const struct stat& found, const std::string& path, std::string_view what,
                                          const Owners& owners, Check check) {
  const std::string label = std::string(what) + " " + path;
  if (!S_ISREG(found.st_mode)) return std::unexpected(not_private(label + " is not a regular file"));
  if (check == Check::none) return {};
  if (std::ranges::find(owners.trusted, found.st_uid) == owners.trusted.end()) {
    return std::unexpected(not_private(label + " belongs to uid " + std::to_string(found.st_uid) +
                                       ", who could read or replace it. Mend it: chown " + std::to_string(geteuid()) +
                                       " " + shell_word(path)));
  }
  const mode_t forbidden = check == Check::key_file ? 07177 : 07077;
  if ((found.st_mode & forbidden) != 0) {
    return std::unexpected(not_private(label + " has mode " + octal(found.st_mode & 0777) +
                                       ", so that others may get at it. Mend it: chmod 0600 " + shell_word(path)));
  }
  return {};
}

// Calls `take` with what was read, piece by piece, until the end. Nothing stays behind in the buffer.
std::expected<void, KeysError> read_pieces(int fd, const std::string& path, std::size_t limit, KeysErrorKind too_big,
                                           const std::function<void(std::string_view)>& take) {
  Secret buffer(16384);
  std::size_t total = 0;
  while (true) {
    const ssize_t count = read(fd, buffer.bytes().data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(system_error("cannot read", path));
    if (count == 0) return {};
    total += static_cast<std::size_t>(count);
    if (total > limit) {
      return std::unexpected(KeysError{too_big, path + " is larger than " + std::to_string(limit) + " bytes"});
    }
    take(buffer.view().substr(0, static_cast<std::size_t>(count)));
  }
}

}  // namespace

Fd::Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

std::optional<FileOwner> service_user() {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  getpwnam_r(kServiceUser.data(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return std::nullopt;
  return FileOwner{found->pw_uid, found->pw_gid, 0600};
}

Owners default_owners() {
  Owners owners{{0}};
  if (geteuid() != 0) {
    owners.trusted.push_back(geteuid());
  } else if (const auto service = service_user()) {
    owners.trusted.push_back(service->uid);
  }
  return owners;
}

std::expected<PrivateFile, KeysError> open_private(const std::string& path, std::string_view what, const Owners& owners,
                                                   Check check) {
  const int follow = check == Check::none ? 0 : O_NOFOLLOW;
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | follow));
  if (!fd && errno == ENOENT) {
    return std::unexpected(KeysError{KeysErrorKind::missing, std::string(what) + " " + path + " does not exist"});
  }
  if (!fd && errno == ELOOP) {
    return std::unexpected(not_private(std::string(what) + " " + path +
                                       " is a symbolic link, which whoever owns it can point elsewhere. Name the file "
                                       "itself: readlink -f " +
                                       shell_word(path)));
  }
  if (!fd) return std::unexpected(system_error("cannot open " + std::string(what), path));
  struct stat found{};
  if (fstat(fd.get(), &found) != 0) return std::unexpected(system_error("cannot look at", path));
  if (auto checked = check_file(found, path, what, owners, check); !checked) {
    return std::unexpected(std::move(checked.error()));
  }
  return PrivateFile{std::move(fd), {found.st_uid, found.st_gid, found.st_mode & 0777}};
}

std::expected<Secret, KeysError> read_secret(int fd, const std::string& path, std::size_t limit,
                                             KeysErrorKind too_big) {
  Secret bytes;
  auto done = read_pieces(fd, path, limit, too_big, [&](std::string_view piece) { bytes.append(piece); });
  if (!done) return std::unexpected(std::move(done.error()));
  return bytes;
}

std::expected<std::string, KeysError> read_text(int fd, const std::string& path, std::size_t limit,
                                                KeysErrorKind too_big) {
  std::string bytes;
  auto done = read_pieces(fd, path, limit, too_big, [&](std::string_view piece) { bytes.append(piece); });
  if (!done) return std::unexpected(std::move(done.error()));
  return bytes;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

std::expected<void, KeysError> write_new_file(const std::string& path, std::string_view bytes, const FileOwner& owner) {
  const auto give_up = [&](std::string_view doing) {
    KeysError error = system_error(doing, path);
    unlink(path.c_str());
    return std::unexpected(std::move(error));
  };
  const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return std::unexpected(system_error("cannot create", path));
  struct stat made{};
  if (fstat(fd.get(), &made) != 0) return give_up("cannot look at");
  if ((made.st_uid != owner.uid || made.st_gid != owner.gid) && geteuid() == 0 &&
      fchown(fd.get(), owner.uid, owner.gid) != 0) {
    return give_up("cannot keep the owner of");
  }
  if (!write_all(fd.get(), bytes)) return give_up("cannot write");
  if (fchmod(fd.get(), owner.mode & 0600) != 0) return give_up("cannot set the mode of");
  if (fsync(fd.get()) != 0) return give_up("cannot bring to disk");
  return {};
}

std::expected<void, KeysError> sync_directory_of(const std::string& path) {
  const std::string directory = directory_of(path);
  const Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0)
    return std::unexpected(system_error("cannot bring to disk the directory", directory));
  return {};
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string file_name_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string sibling(const std::string& path, const std::string& name) { return directory_of(path) + "/" + name; }

KeysError system_error(std::string_view doing, const std::string& path) {
  const int code = errno;
  const bool denied = code == EACCES || code == EPERM;
  std::string message(doing);
  message.append(" ").append(path).append(": ").append(std::generic_category().message(code));
  if (denied && geteuid() != 0) message += ". Run it as root (sudo), or as the user the file belongs to";
  return {denied ? KeysErrorKind::permissions : KeysErrorKind::io, std::move(message)};
}

}  // namespace restream::keys
