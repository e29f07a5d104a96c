// What is kept of one credential's calls, so that a restart does not refill its quota. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/clock.hpp"

namespace restream {

// Calls that the API had counted by then.
struct QuotaUse {
  WallTime end;
  std::uint64_t calls = 0;

  bool operator==(const QuotaUse&) const = default;
};

struct QuotaWindow {
  Millis per{};
  std::vector<QuotaUse> uses;  // oldest first

  bool operator==(const QuotaWindow&) const = default;
};

struct QuotaRecord {
  std::string budget;       // a keyed hash of the credential, never the credential
  std::uint64_t ahead = 0;  // further calls that may have gone out after this was written
  std::vector<QuotaWindow> windows;
  std::optional<std::uint64_t> api_left;  // as the API said itself
  std::optional<WallTime> api_renews;

  // Nothing worth keeping.
  [[nodiscard]] bool empty() const { return ahead == 0 && windows.empty() && !api_renews; }
  bool operator==(const QuotaRecord&) const = default;
};

}  // namespace restream
