// Who may come in: the tokens that the operator has listed, and the tickets that stand for one for a moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "channel/access.hpp"
#include "model/clock.hpp"
#include "model/token.hpp"

namespace restream {

struct Token {
  TokenEntry entry;
  Access access;
  [[nodiscard]] bool expired(WallTime now) const { return entry.expires && now >= *entry.expires; }
};

// Immutable; read anew as a whole.
class Tokens {
 public:
  explicit Tokens(std::vector<TokenEntry> entries);

  // Null for a token that is not listed. Takes the same time for every token. (Whether it has expired is for the caller
  // to ask.)
  [[nodiscard]] std::shared_ptr<const Token> find(std::string_view token) const;
  // The same entry, with nothing about it changed; null when there is none any more.
  [[nodiscard]] std::shared_ptr<const Token> find_again(const Token& token) const;

 private:
  std::vector<std::shared_ptr<const Token>> tokens_;
};

// Tickets: each is good once, for 30 s. Locked, since one serve thread issues what another one is shown.
class Tickets {
 public:
  // Nothing when there are too many.
  std::optional<std::string> issue(std::shared_ptr<const Token> token, SteadyTime now);
  // Null for a ticket that is unknown, used or too old.
  std::shared_ptr<const Token> redeem(const std::string& ticket, SteadyTime now);

 private:
  struct Issued {
    std::shared_ptr<const Token> token;
    SteadyTime until;
  };
  void forget_old(SteadyTime now);

  std::mutex mutex_;
  // By the ticket's hash, so that how long a search takes tells nothing about a ticket.
  std::unordered_map<std::string, Issued> issued_;
  SteadyTime looked_;  // for old ones
};

inline constexpr Seconds ticket_time{30};

}  // namespace restream
