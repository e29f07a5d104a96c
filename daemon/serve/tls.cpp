#include "serve/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

namespace restream {

namespace {

// For TLS 1.2; those of 1.3 are all fine. Forward secrecy and authenticated encryption alone.
constexpr const char* ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr std::string_view http_1_1("\x08http/1.1");

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeStream {
  void operator()(SSL* stream) const { SSL_free(stream); }
};

std::string reason() {
  const unsigned long code = ERR_peek_error();
  const char* text = ERR_SYSTEM_ERROR(code) ? std::strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
  std::string out = text == nullptr ? "unknown reason" : text;
  ERR_clear_error();
  return out;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned in_size,
                    void*) {
  // Clients that can do nothing but HTTP/2 find out soon enough.
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, reinterpret_cast<const unsigned char*>(http_1_1.data()),
                            static_cast<unsigned>(http_1_1.size()), in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// A key that needs a passphrase is refused, not asked for on some terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

int bounded(std::size_t size) { return static_cast<int>(std::min<std::size_t>(size, std::numeric_limits<int>::max())); }

}  // namespace

struct TlsContext::Impl {
  std::unique_ptr<SSL_CTX, FreeContext> context;
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

std::expected<std::shared_ptr<const TlsContext>, std::string> TlsContext::load(const std::filesystem::path& certificate,
                                                                               const std::filesystem::path& key) {
  ERR_clear_error();
  auto impl = std::make_unique<Impl>();
  impl->context.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = impl->context.get();
  if (context == nullptr) return std::unexpected("TLS does not work: " + reason());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  if (SSL_CTX_set_cipher_list(context, ciphers) != 1) return std::unexpected("TLS does not work: " + reason());
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
    return std::unexpected("listen.tls.certificate: " + certificate.string() + " cannot be used: " + reason() +
                           "; a readable PEM file with the certificate and its chain is expected");
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return std::unexpected("listen.tls.key: " + key.string() + " cannot be used: " + reason() +
                           "; a readable PEM file with the key of the certificate, without a passphrase, is expected");
  return std::make_shared<const TlsContext>(std::move(impl));
}

struct TlsStream::Impl {
  std::unique_ptr<SSL, FreeStream> stream;
};

TlsStream::TlsStream(const TlsContext& context, int descriptor) : impl_(std::make_unique<Impl>()) {
  impl_->stream.reset(SSL_new(context.impl_->context.get()));
  if (!impl_->stream) throw std::bad_alloc();
  SSL_set_fd(impl_->stream.get(), descriptor);
  SSL_set_accept_state(impl_->stream.get());
}

TlsStream::~TlsStream() = default;

TlsStream::Read TlsStream::read(void* data, std::size_t size) {
  ERR_clear_error();
  const int got = SSL_read(impl_->stream.get(), data, bounded(size));
  if (got > 0) return {.state = State::done, .size = static_cast<std::size_t>(got)};
  switch (SSL_get_error(impl_->stream.get(), got)) {
    case SSL_ERROR_WANT_READ:
      return {.state = State::wants_read};
    case SSL_ERROR_WANT_WRITE:
      return {.state = State::wants_write};
    case SSL_ERROR_ZERO_RETURN:
      return {.state = State::ended};
    default:
      break;
  }
  const bool plain = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
  ERR_clear_error();
  return {.state = plain ? State::plain : State::failed};
}

ssize_t TlsStream::send(const char* data, std::size_t size) {
  ERR_clear_error();
  const int taken = SSL_write(impl_->stream.get(), data, bounded(size));
  if (taken > 0) return taken;
  // Nothing is sent before the handshake is done, and there is no other later: so it never has to read first.
  const bool again = SSL_get_error(impl_->stream.get(), taken) == SSL_ERROR_WANT_WRITE;
  ERR_clear_error();
  errno = again ? EAGAIN : EPIPE;
  return -1;
}

void TlsStream::close_notify() {
  ERR_clear_error();
  if (open()) SSL_shutdown(impl_->stream.get());
  ERR_clear_error();
}

bool TlsStream::open() const { return SSL_is_init_finished(impl_->stream.get()) == 1; }

}  // namespace restream
