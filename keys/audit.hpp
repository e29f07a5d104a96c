// Who did what to the keystore and when: one JSON line for each command, in FILE.audit. Never a value.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "keys/error.hpp"
#include "keys/files.hpp"

namespace restream::keys {

struct AuditLine {
  std::chrono::system_clock::time_point time;
  uid_t uid = 0;
  std::string verb;
  std::vector<std::string> names;  // "fetcher/key", names that keep the rule
  std::optional<std::uint64_t> gen;
  std::string result;
};

std::string print_audit_line(const AuditLine& line);

// Appends to `keystore_path`.audit, made 0600. Refuses a file that others could read or write, and a symlink.
std::expected<void, KeysError> append_audit(const std::string& keystore_path, const AuditLine& line,
                                            const Owners& owners);

}  // namespace restream::keys
