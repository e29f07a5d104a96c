// Finds secrets in text, also in the disguises that requests give them. A value: immutable, usable from any thread.
// Wipes what it holds of them when it goes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/secret_text.hpp"

namespace restream {

class Redactor {
 public:
  Redactor() = default;
  // Values of fewer than 8 characters are left out: they would hit ordinary words.
  explicit Redactor(const std::vector<std::string>& secrets);

  // `text` with every secret replaced by "[redacted]": as it is, percent-encoded once or twice (fully, partly, with '+'
  // for a space), with the backslashes of JSON and ASCII as \u00XX, in base64 and its URL-safe form, also in the middle
  // of a longer text that was encoded as a whole ("user:secret"). So is every line of a secret of several, and the
  // beginning of one, of 8 characters or more, where the text ends in the middle of it.
  [[nodiscard]] std::string redact(std::string_view text) const;

 private:
  struct Pattern {
    SecretText bytes;
    // In base64 a secret shares its first or last letter with its neighbours; that letter goes as well.
    bool letter_before = false;
    bool letter_after = false;
  };
  void add_secret(std::string_view secret);
  void add(Pattern pattern);
  [[nodiscard]] std::size_t match(const Pattern& pattern, std::string_view text) const;

  // By the first byte, longest first.
  std::array<std::vector<Pattern>, 256> patterns_;
  bool empty_ = true;
};

}  // namespace restream
