#include "serve/tokens.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace restream {

namespace {

constexpr std::size_t most_tickets = 10000;
constexpr std::size_t most_tickets_of_one = 1000;  // token, so that none locks the others out

Sha256 hash(std::string_view text) {
  Sha256 out{};
  unsigned size = out.size();
  if (EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("SHA-256 does not work");
  return out;
}

bool same(const Sha256& a, const Sha256& b) { return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

std::string ticket_key(std::string_view ticket) {
  const Sha256 digest = hash(ticket);
  return {digest.begin(), digest.end()};
}

std::string random_text() {
  std::array<unsigned char, 24> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    throw std::runtime_error("there are no random numbers to be had");
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte : bytes) {
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

}  // namespace

Tokens::Tokens(std::vector<TokenEntry> entries) {
  for (TokenEntry& entry : entries) {
    auto access = std::make_shared<const ChannelGlobs>(ChannelGlobs{entry.channels});
    tokens_.push_back(std::make_shared<const Token>(Token{std::move(entry), std::move(access)}));
  }
}

std::shared_ptr<const Token> Tokens::find(std::string_view token) const {
  const Sha256 digest = hash(token);
  std::shared_ptr<const Token> found;
  for (const auto& one : tokens_)
    if (same(one->entry.sha256, digest)) found = one;
  return found;
}

std::shared_ptr<const Token> Tokens::find_again(const Token& token) const {
  for (const auto& one : tokens_)
    if (one->entry == token.entry) return one;
  return nullptr;
}

std::optional<std::string> Tickets::issue(std::shared_ptr<const Token> token, SteadyTime now) {
  const std::scoped_lock lock(mutex_);
  forget_old(now);
  const auto of_this = std::ranges::count_if(issued_, [&](const auto& one) { return one.second.token == token; });
  if (issued_.size() >= most_tickets || static_cast<std::size_t>(of_this) >= most_tickets_of_one) return std::nullopt;
  std::string ticket = random_text();
  issued_.emplace(ticket_key(ticket), Issued{std::move(token), now + ticket_time});
  return ticket;
}

std::shared_ptr<const Token> Tickets::redeem(const std::string& ticket, SteadyTime now) {
  const std::scoped_lock lock(mutex_);
  const auto found = issued_.extract(ticket_key(ticket));
  if (!found || now >= found.mapped().until) return nullptr;
  return std::move(found.mapped().token);
}

void Tickets::forget_old(SteadyTime now) {
  if (now - looked_ < Seconds(1) && issued_.size() < most_tickets) return;
  looked_ = now;
  std::erase_if(issued_, [now](const auto& one) { return now >= one.second.until; });
}

}  // namespace restream
