// TLS on a connection's socket. tls.cpp is the only file that knows OpenSSL's part in it. Runs on: serve.
//
// OpenSSL works on the socket itself, without blocking; there is no step for the handshake, which is a part of the
// first read. The process must ignore SIGPIPE.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <string>

namespace restream {

// Certificate and key. Immutable; connections that began with it keep it when it is read anew.
class TlsContext {
 public:
  // PEM files: the certificate with the chain behind it, its key. The error is a sentence.
  static std::expected<std::shared_ptr<const TlsContext>, std::string> load(const std::filesystem::path& certificate,
                                                                            const std::filesystem::path& key);
  struct Impl;
  explicit TlsContext(std::unique_ptr<Impl> impl);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 private:
  friend class TlsStream;
  std::unique_ptr<Impl> impl_;
};

// One connection.
class TlsStream {
 public:
  // Does not own the descriptor.
  TlsStream(const TlsContext& context, int descriptor);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // `plain`: the client speaks HTTP without TLS.
  enum class State : std::uint8_t { done, wants_read, wants_write, ended, plain, failed };
  struct Read {
    State state = State::done;
    std::size_t size = 0;
  };
  Read read(void* data, std::size_t size);
  // As send(2): how many bytes were taken, or -1 and errno. After EAGAIN the next call must bring the same bytes.
  ssize_t send(const char* data, std::size_t size);
  // Says goodbye, as far as the kernel takes it.
  void close_notify();
  // The handshake is done.
  [[nodiscard]] bool open() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace restream
