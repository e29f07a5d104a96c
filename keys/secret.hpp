// Bytes that must not be seen: kept in OpenSSL's secure heap, wiped when they go. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace restream::keys {

// Call once, first thing in main(), before any thread is started and before any Secret is made: sets up the secure
// heap (locked in memory, guarded, left out of core dumps), forbids core dumps and makes the process undumpable, so
// that no other process of the same user can read its memory. The core limit is inherited by children.
enum class SecureMemory : std::uint8_t {
  locked,    // never swapped out
  unlocked,  // RLIMIT_MEMLOCK was too low (8 MiB are wanted): works, but may reach an unencrypted swap
};
SecureMemory init_secure_memory();

// Move-only, so that every copy is one that somebody asked for. It has no short-string form: even one byte lives in
// the secure heap. Where that heap is full, ordinary memory is used, and wiped just the same.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::size_t size);  // zeros
  static Secret copy_of(std::string_view text);
  static Secret copy_of(std::span<const std::uint8_t> bytes);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::string_view view() const;
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
  [[nodiscard]] std::span<std::uint8_t> bytes() { return {data_, size_}; }

  void reserve(std::size_t capacity);
  void append(std::string_view text);
  void append(std::size_t count, char c);
  void push_back(char c) { append(1, c); }
  void shrink(std::size_t size);       // forgets (and wipes) everything after the first `size` bytes
  void drop_front(std::size_t count);  // forgets (and wipes) the first `count` bytes
  void clear() { shrink(0); }

  // Takes the same time whatever the bytes are.
  [[nodiscard]] bool same_as(const Secret& other) const;

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace restream::keys
