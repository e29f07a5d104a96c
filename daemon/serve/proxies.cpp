#include "serve/proxies.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <charconv>
#include <optional>
#include <ranges>

namespace restream {

namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// 4 or 16 bytes; nothing for what is no address. An IPv4 address in IPv6's clothes is an IPv4 address.
std::optional<std::string> address_bytes(std::string_view text) {
  static constexpr std::string_view mapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  const std::string whole(text);
  std::array<char, 16> bytes{};
  if (::inet_pton(AF_INET, whole.c_str(), bytes.data()) == 1) return std::string(bytes.data(), 4);
  if (::inet_pton(AF_INET6, whole.c_str(), bytes.data()) != 1) return std::nullopt;
  const std::string v6(bytes.data(), 16);
  return v6.starts_with(mapped) ? v6.substr(mapped.size()) : v6;
}

std::string address_text(const std::string& bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

// "203.0.113.7", "203.0.113.7:4711", "[2001:db8::1]:4711", "2001:db8::1".
std::string_view without_port(std::string_view text) {
  if (text.starts_with('[')) return text.substr(1, std::min(text.find(']'), text.size()) - 1);
  if (std::ranges::count(text, ':') == 1) return text.substr(0, text.find(':'));
  return text;
}

bool within(const std::string& address, const std::string& network, unsigned bits) {
  if (address.size() != network.size()) return false;
  for (unsigned i = 0; i < bits; ++i) {
    const unsigned mask = 0x80U >> (i % 8);
    if (((static_cast<unsigned char>(address[i / 8]) ^ static_cast<unsigned char>(network[i / 8])) & mask) != 0)
      return false;
  }
  return true;
}

// All values of the header, of all its lines, from left to right.
std::vector<std::string_view> list(const Request& request, std::string_view name) {
  std::vector<std::string_view> out;
  for (const auto& [header, value] : request.headers) {
    if (header != name) continue;
    std::string_view rest = value;
    while (true) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      out.push_back(trimmed(rest.substr(0, comma)));
      if (comma == rest.size()) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return out;
}

}  // namespace

Proxies::Proxies(const std::vector<std::string>& trusted) {
  for (const std::string& one : trusted) {
    const std::size_t slash = std::min(one.find('/'), one.size());
    auto bytes = address_bytes(std::string_view(one).substr(0, slash));
    if (!bytes) continue;
    auto bits = static_cast<unsigned>(bytes->size() * 8);
    if (slash < one.size()) {
      unsigned prefix = 0;
      const auto read = std::from_chars(one.data() + slash + 1, one.data() + one.size(), prefix);
      if (read.ec != std::errc{} || prefix > bits) continue;
      bits = prefix;
    }
    networks_.push_back({.bytes = std::move(*bytes), .bits = bits});
  }
}

bool Proxies::trusts(std::string_view address) const {
  if (networks_.empty()) return false;
  const auto bytes = address_bytes(address);
  return bytes && std::ranges::any_of(
                      networks_, [&](const Network& network) { return within(*bytes, network.bytes, network.bits); });
}

Way Proxies::way(const Request& request, const std::string& peer, bool https) const {
  Way way{.address = peer, .https = https, .host = std::string(request.header("host"))};
  if (!trusts(peer)) return way;
  for (const std::string_view hop : list(request, "x-forwarded-for") | std::views::reverse) {
    const auto bytes = address_bytes(without_port(hop));
    // Somebody we trust wrote something we can't read: they are as far as we see.
    if (!bytes) break;
    way.address = address_text(*bytes);
    if (!trusts(way.address)) break;
  }
  // The last word is that of the proxy that is nearest to us.
  if (const auto protocols = list(request, "x-forwarded-proto"); !protocols.empty() && !protocols.back().empty())
    way.https = boost::beast::iequals(protocols.back(), "https") || boost::beast::iequals(protocols.back(), "wss");
  if (const auto hosts = list(request, "x-forwarded-host"); !hosts.empty() && !hosts.back().empty())
    way.host = hosts.back();
  return way;
}

}  // namespace restream
