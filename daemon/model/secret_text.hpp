// Text that is wiped before its memory is given back: keys, and what holds keys. Any thread.
//
// It wipes what it owns itself. Whoever makes a std::string of it, or lets one grow that holds a key, leaves a copy
// behind: reserve first.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace restream {

// Overwrites every byte, whatever the optimiser thinks of it, and empties it.
void wipe(std::string& text) noexcept;

class SecretText {
 public:
  SecretText() = default;
  SecretText(std::string&& text) : text_(std::move(text)) { wipe(text); }  // NOLINT: a text may become a secret
  SecretText(std::string_view text) : text_(text) {}                       // NOLINT
  SecretText(const std::string& text) : text_(text) {}                     // NOLINT
  SecretText(const char* text) : text_(text) {}                            // NOLINT
  SecretText(const SecretText&) = default;
  // A short text lives inside the string, so moving leaves it behind.
  SecretText(SecretText&& other) noexcept : text_(std::move(other.text_)) { wipe(other.text_); }
  SecretText& operator=(SecretText other) noexcept {
    text_.swap(other.text_);
    return *this;
  }
  ~SecretText() { wipe(text_); }

  [[nodiscard]] const std::string& text() const { return text_; }
  bool operator==(const SecretText&) const = default;

 private:
  std::string text_;
};

}  // namespace restream
