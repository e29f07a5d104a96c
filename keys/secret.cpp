#include "keys/secret.hpp"

#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace restream::keys {

namespace {

// Room for a keystore of the largest size several times over: its plaintext, its entries, and the same again while
// a new one is proved. 8 MiB is also what Linux lets an ordinary process lock.
constexpr std::size_t kHeapSize = std::size_t{8} << 20;
constexpr std::size_t kSmallestBlock = 32;

std::uint8_t* allocate(std::size_t size) {
  void* memory = OPENSSL_secure_zalloc(size);
  // A full secure heap gives null; the ordinary heap is then better than a daemon without its keys.
  if (memory == nullptr) memory = OPENSSL_zalloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<std::uint8_t*>(memory);
}

// Wipes, and knows by the address which of the two heaps the memory came from.
void release(std::uint8_t* memory, std::size_t size) { OPENSSL_secure_clear_free(memory, size); }

}  // namespace

SecureMemory init_secure_memory() {
  static int state = 0;  // of CRYPTO_secure_malloc_init: 1 locked, 2 usable but not locked, 0 not available
  if (CRYPTO_secure_malloc_initialized() == 0) state = CRYPTO_secure_malloc_init(kHeapSize, kSmallestBlock);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
#ifndef RESTREAM_SANITIZED  // the leak checker looks into its own process from outside
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
  return state == 1 ? SecureMemory::locked : SecureMemory::unlocked;
}

Secret::Secret(std::size_t size) {
  reserve(size);
  size_ = size;
}

Secret Secret::copy_of(std::string_view text) {
  Secret copy;
  copy.append(text);
  return copy;
}

Secret Secret::copy_of(std::span<const std::uint8_t> bytes) {
  Secret copy(bytes.size());
  std::ranges::copy(bytes, copy.data_);
  return copy;
}

Secret::Secret(Secret&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  release(data_, capacity_);
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  return *this;
}

Secret::~Secret() { release(data_, capacity_); }

std::string_view Secret::view() const {
  // Bytes are seen as text in this one place; char may look at anything.
  return {reinterpret_cast<const char*>(data_), size_};
}

void Secret::reserve(std::size_t capacity) {
  if (capacity <= capacity_) return;
  std::uint8_t* grown = allocate(capacity);
  if (size_ > 0) std::memcpy(grown, data_, size_);
  release(data_, capacity_);
  data_ = grown;
  capacity_ = capacity;
}

void Secret::append(std::string_view text) {
  if (text.empty()) return;
  if (size_ + text.size() > capacity_) reserve(std::max({size_ + text.size(), capacity_ * 2, std::size_t{32}}));
  std::memcpy(data_ + size_, text.data(), text.size());
  size_ += text.size();
}

void Secret::append(std::size_t count, char c) {
  if (count == 0) return;
  if (size_ + count > capacity_) reserve(std::max({size_ + count, capacity_ * 2, std::size_t{32}}));
  std::memset(data_ + size_, c, count);
  size_ += count;
}

void Secret::shrink(std::size_t size) {
  if (size >= size_) return;
  OPENSSL_cleanse(data_ + size, size_ - size);
  size_ = size;
}

void Secret::drop_front(std::size_t count) {
  count = std::min(count, size_);
  if (count == 0) return;
  std::memmove(data_, data_ + count, size_ - count);
  shrink(size_ - count);
}

bool Secret::same_as(const Secret& other) const {
  if (size_ != other.size_) return false;
  return size_ == 0 || CRYPTO_memcmp(data_, other.data_, size_) == 0;
}

}  // namespace restream::keys
