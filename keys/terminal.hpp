// The person at the keyboard, and standard input. Only for the command.
#pragma once

#include <expected>
#include <string>

#include "keys/error.hpp"
#include "keys/secret.hpp"

namespace restream::keys {

// Asks on the terminal itself (/dev/tty, whatever standard input is) and reads one line without showing it. Where
// there is no terminal, or another program has it in hand, that is a usage error: it never waits for nobody.
std::expected<Secret, KeysError> ask_hidden(const std::string& prompt);

// What comes on standard input, first a line and then the rest; nothing of it stays in buffers elsewhere.
class StandardInput {
 public:
  static bool is_terminal();
  // Without its line end. Nothing there is a usage error.
  std::expected<Secret, KeysError> read_line(const std::string& what);
  // To the end; more than `limit` bytes are a usage error.
  std::expected<Secret, KeysError> read_rest(std::size_t limit);

 private:
  Secret buffer_;  // read from the descriptor, but not asked for yet
};

// Of what was read: takes the line end away that the shell or an editor has added.
void strip_line_end(Secret& value);

}  // namespace restream::keys
