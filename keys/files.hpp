// Files that are only trusted when nobody else could have written or read them. I/O; any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "keys/error.hpp"
#include "keys/secret.hpp"

namespace restream::keys {

// Closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept;
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Whose files are trusted: root's and one's own. Root also trusts those of the service's fixed user, `restream`.
struct Owners {
  std::vector<uid_t> trusted;
};
Owners default_owners();

struct FileOwner {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;  // permission bits only
};
std::optional<FileOwner> service_user();  // the user `restream`, where there is one

// What may be asked of a file before it is believed.
enum class Check : std::uint8_t {
  private_file,  // no symlink, a trusted owner, no bits for group or others
  key_file,      // the same, and 0400 or 0600 exactly
  none,          // somebody else sees to its modes
};

struct PrivateFile {
  Fd fd;
  FileOwner owner;
};
// Opens for reading; never waits (a FIFO is refused, as is everything else that is not a regular file). `what` names
// the file in messages ("the keystore"). A file that is not there is KeysErrorKind::missing.
std::expected<PrivateFile, KeysError> open_private(const std::string& path, std::string_view what, const Owners& owners,
                                                   Check check);

// Reads to the end; more than `limit` bytes are an error of kind `too_big`.
std::expected<Secret, KeysError> read_secret(int fd, const std::string& path, std::size_t limit, KeysErrorKind too_big);
std::expected<std::string, KeysError> read_text(int fd, const std::string& path, std::size_t limit,
                                                KeysErrorKind too_big);

// A new file beside others, complete and on disk or not there at all: O_EXCL, `owner` (as far as we may set it), fsync.
std::expected<void, KeysError> write_new_file(const std::string& path, std::string_view bytes, const FileOwner& owner);
std::expected<void, KeysError> sync_directory_of(const std::string& path);

bool write_all(int fd, std::string_view bytes);
std::string directory_of(const std::string& path);
std::string file_name_of(const std::string& path);
std::string sibling(const std::string& path, const std::string& name);  // a file in the same directory

// From errno: EACCES and EPERM are `permissions`, the rest is `io`.
KeysError system_error(std::string_view doing, const std::string& path);

}  // namespace restream::keys
