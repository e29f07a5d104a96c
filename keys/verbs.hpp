// What restream-keys does, once its command line is understood.
#pragma once

#include <string>

namespace restream::keys {

struct Request {
  std::string file = "/etc/restream/keys.restream";
  std::string master_key = "/etc/restream/master.key";
  bool passphrase_stdin = false;
  std::string verb;
  std::string fetcher;
  std::string key;   // empty in `rm` for all of a fetcher's
  std::string from;  // of `import`: a file, or "-"
  bool overwrite = false;
  bool reveal = false;
  bool plaintext = false;
  bool yes = false;
};

// Does it, tells the user on standard output or standard error, adds the audit line, and returns the exit code.
int run(const Request& request);

}  // namespace restream::keys
