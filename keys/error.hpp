// What can go wrong with a keystore, as a value. The kind is for programs (it decides the exit code), the message for
// people: what, where and what to do next. No message ever holds a value from the keystore.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace restream::keys {

enum class KeysErrorKind : std::uint8_t {
  usage,            // the request itself cannot be served as it stands
  no_such_entry,    // the keystore has no such fetcher or key
  wrong_key,        // the master key does not open the keystore, or the header was altered
  damaged,          // the keystore is not one that this program ever wrote
  unknown_version,  // written by a newer program
  permissions,      // a file that others could read or have put there, or that we may not touch
  locked,           // somebody else is writing
  rollback,         // an older keystore, or another one, stands where a newer one was
  missing,          // there is no keystore file: not a fault for a daemon, which then has no keys
  io,
};

struct KeysError {
  KeysErrorKind kind{};
  std::string message;
};

// The exit codes of restream-keys. 0 is success.
constexpr int exit_code(KeysErrorKind kind) {
  switch (kind) {
    case KeysErrorKind::usage:
      return 2;
    case KeysErrorKind::no_such_entry:
      return 3;
    case KeysErrorKind::wrong_key:
      return 4;
    case KeysErrorKind::damaged:
    case KeysErrorKind::unknown_version:
      return 5;
    case KeysErrorKind::permissions:
      return 6;
    case KeysErrorKind::locked:
      return 7;
    case KeysErrorKind::rollback:
      return 8;
    case KeysErrorKind::missing:
    case KeysErrorKind::io:
      return 9;
  }
  return 9;
}

// The `result` of an audit line.
constexpr std::string_view text(KeysErrorKind kind) {
  switch (kind) {
    case KeysErrorKind::usage:
      return "refused";
    case KeysErrorKind::no_such_entry:
      return "no such entry";
    case KeysErrorKind::wrong_key:
      return "wrong key";
    case KeysErrorKind::damaged:
      return "damaged";
    case KeysErrorKind::unknown_version:
      return "unknown version";
    case KeysErrorKind::permissions:
      return "permissions";
    case KeysErrorKind::locked:
      return "locked";
    case KeysErrorKind::rollback:
      return "rollback";
    case KeysErrorKind::missing:
      return "no keystore";
    case KeysErrorKind::io:
      return "i/o error";
  }
  return "i/o error";
}

}  // namespace restream::keys
