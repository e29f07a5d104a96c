#include "http/keyed_hash.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace restream {

namespace {

KeyedHash::Key random_key() {
  KeyedHash::Key key{};
  if (RAND_bytes(key.data(), static_cast<int>(key.size())) != 1) throw std::runtime_error("no random numbers");
  return key;
}

struct File {
  explicit File(int opened) : fd(opened) {}
  ~File() {
    if (fd >= 0) ::close(fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd;
};

std::unexpected<std::string> failed(const std::filesystem::path& file, const char* what) {
  return std::unexpected("cannot " + std::string(what) + " " + file.string() + ": " + std::strerror(errno) +
                         "; look at the state directory's owner, permissions and free space");
}

std::expected<KeyedHash, std::string> make(const std::filesystem::path& file) {
  const KeyedHash::Key key = random_key();
  std::filesystem::path fresh = file;
  fresh += ".new";
  {
    const File out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (out.fd < 0) return failed(fresh, "make");
    if (::write(out.fd, key.data(), key.size()) != static_cast<ssize_t>(key.size()) || ::fsync(out.fd) != 0)
      return failed(fresh, "write");
  }
  if (::rename(fresh.c_str(), file.c_str()) != 0) return failed(file, "make");
  const File directory(::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd >= 0) ::fsync(directory.fd);
  return KeyedHash(key);
}

}  // namespace

std::string KeyedHash::bytes(std::string_view text) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size) == nullptr)
    throw std::runtime_error("HMAC-SHA-256 is not there");
  return {reinterpret_cast<const char*>(digest.data()), size};
}

std::string KeyedHash::name(std::string_view text) const {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string name;
  for (const char c : bytes(text).substr(0, 16)) {
    const auto byte = static_cast<unsigned char>(c);
    name += digits[byte >> 4U];
    name += digits[byte & 15U];
  }
  return name;
}

std::expected<KeyedHash, std::string> open_keyed_hash(const std::filesystem::path& file) {
  const File in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (in.fd < 0) return errno == ENOENT ? make(file) : failed(file, "read");
  KeyedHash::Key key{};
  struct stat about{};
  if (::fstat(in.fd, &about) != 0) return failed(file, "read");
  if (about.st_size != static_cast<off_t>(key.size()) ||
      ::read(in.fd, key.data(), key.size()) != static_cast<ssize_t>(key.size()))
    return std::unexpected(file.string() +
                           " is damaged: it must hold 32 bytes. Put it back from a backup, or move it "
                           "away: then kept answers and counted quotas are forgotten");
  return KeyedHash(key);
}

KeyedHash random_keyed_hash() { return KeyedHash(random_key()); }

}  // namespace restream
