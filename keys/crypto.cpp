#include "keys/crypto.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <memory>
#include <stdexcept>

namespace restream::keys {

namespace {

void require(int result, const char* what) {
  if (result != 1) throw std::runtime_error(std::string("OpenSSL: ") + what + " failed (is there enough memory?)");
}

struct Free {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Free>;

CipherContext new_cipher() {
  CipherContext context(EVP_CIPHER_CTX_new());
  require(context ? 1 : 0, "EVP_CIPHER_CTX_new");
  return context;
}

// OpenSSL's parameters take mutable pointers to what they only read.
void* unconst(const void* memory) { return const_cast<void*>(memory); }

std::uint8_t* writable(std::string& text) { return reinterpret_cast<std::uint8_t*>(text.data()); }

constexpr std::size_t kNonceSize = 12;

void check_sizes(const Secret& key, Bytes nonce) {
  if (key.size() != kKeySize || nonce.size() != kNonceSize) throw std::logic_error("AES-256-GCM: wrong key size");
}

}  // namespace

Bytes as_bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

void fill_random(std::span<std::uint8_t> out) {
  // The private generator: its output is never shown as a public nonce by other users of the library, its seed comes
  // from getrandom(2), and it is seeded anew after a fork.
  require(RAND_priv_bytes(out.data(), static_cast<int>(out.size())), "RAND_priv_bytes");
}

Secret random_key() {
  Secret key(kKeySize);
  fill_random(key.bytes());
  return key;
}

Secret hkdf_sha256(Bytes key, Bytes salt, std::string_view info, std::size_t size) {
  // The master key has 256 bits of entropy already, so an extract-and-expand without stretching is enough; it gives
  // every keystore (salt: its id) and every use (info) a key of its own, none of which tells anything of the others.
  const std::unique_ptr<EVP_KDF, Free> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  require(kdf ? 1 : 0, "EVP_KDF_fetch");
  const std::unique_ptr<EVP_KDF_CTX, Free> context(EVP_KDF_CTX_new(kdf.get()));
  require(context ? 1 : 0, "EVP_KDF_CTX_new");
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, unconst(key.data()), key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, unconst(salt.data()), salt.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, unconst(info.data()), info.size()),
      OSSL_PARAM_construct_end(),
  };
  Secret derived(size);
  require(EVP_KDF_derive(context.get(), derived.bytes().data(), size, parameters), "HKDF");
  return derived;
}

Secret scrypt(Bytes passphrase, Bytes salt, int log2_n) {
  // A passphrase can be guessed, so each guess must cost memory and time; the salt keeps one guess from serving two
  // keystores. N is bounded by whoever read the header. The limit leaves room for OpenSSL's own working memory.
  const std::uint64_t n = std::uint64_t{1} << log2_n;
  constexpr std::uint64_t kR = 8;
  constexpr std::uint64_t kP = 1;
  const std::uint64_t limit = 128 * n * kR + (std::uint64_t{32} << 20);
  Secret derived(kKeySize);
  const Secret text = Secret::copy_of(passphrase);
  require(EVP_PBE_scrypt(text.view().data(), text.size(), salt.data(), salt.size(), n, kR, kP, limit,
                         derived.bytes().data(), kKeySize),
          "scrypt");
  return derived;
}

std::string seal(const Secret& key, Bytes nonce, std::string_view bound_to, Bytes plaintext) {
  // GCM breaks when one key meets one nonce twice. A data key seals exactly one body, so its nonce cannot repeat. The
  // wrapping key seals one data key per write, each with 96 random bits: after 2^32 writes a repeat would still have a
  // chance of only 2^-32. Lengths stay far below GCM's 64 GiB.
  check_sizes(key, nonce);
  const CipherContext context = new_cipher();
  require(EVP_EncryptInit_ex2(context.get(), EVP_aes_256_gcm(), key.bytes().data(), nonce.data(), nullptr), "AES-GCM");
  const Bytes bound = as_bytes(bound_to);
  int written = 0;
  require(EVP_EncryptUpdate(context.get(), nullptr, &written, bound.data(), static_cast<int>(bound.size())), "AES-GCM");
  std::string sealed(plaintext.size() + kTagSize, '\0');
  std::uint8_t* out = writable(sealed);
  require(EVP_EncryptUpdate(context.get(), out, &written, plaintext.data(), static_cast<int>(plaintext.size())),
          "AES-GCM");
  require(EVP_EncryptFinal_ex(context.get(), out + written, &written), "AES-GCM");
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kTagSize), out + plaintext.size()),
          "AES-GCM");
  return sealed;
}

std::optional<Secret> unseal(const Secret& key, Bytes nonce, std::string_view bound_to, Bytes sealed) {
  // The tag is always the full 16 bytes (GCM loses its strength with short ones), and not one byte of plaintext
  // leaves this function unless the tag fits.
  check_sizes(key, nonce);
  if (sealed.size() < kTagSize) return std::nullopt;
  const Bytes ciphertext = sealed.first(sealed.size() - kTagSize);
  const Bytes tag = sealed.last(kTagSize);
  const CipherContext context = new_cipher();
  require(EVP_DecryptInit_ex2(context.get(), EVP_aes_256_gcm(), key.bytes().data(), nonce.data(), nullptr), "AES-GCM");
  const Bytes bound = as_bytes(bound_to);
  int written = 0;
  require(EVP_DecryptUpdate(context.get(), nullptr, &written, bound.data(), static_cast<int>(bound.size())), "AES-GCM");
  Secret plaintext(ciphertext.size());
  require(EVP_DecryptUpdate(context.get(), plaintext.bytes().data(), &written, ciphertext.data(),
                            static_cast<int>(ciphertext.size())),
          "AES-GCM");
  require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kTagSize), unconst(tag.data())),
          "AES-GCM");
  std::uint8_t rest[16];
  if (EVP_DecryptFinal_ex(context.get(), rest, &written) != 1) return std::nullopt;
  return plaintext;
}

Sha256 sha256(std::string_view bytes) {
  Sha256 digest{};
  require(EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr), "SHA-256");
  return digest;
}

}  // namespace restream::keys
