#include "http/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include "http/http_client.hpp"

namespace restream {

namespace {

using Bytes6 = std::array<std::uint8_t, 16>;

constexpr std::uint32_t v4(unsigned a, unsigned b, unsigned c, unsigned d) {
  return (a << 24U) | (b << 16U) | (c << 8U) | d;
}

struct Network4 {
  std::uint32_t base;
  unsigned bits;
};

// IANA's special-purpose registry, with multicast and the reserved rest of class E.
constexpr std::array special4{
    Network4{v4(0, 0, 0, 0), 8},        // "this network"
    Network4{v4(10, 0, 0, 0), 8},       // private
    Network4{v4(100, 64, 0, 0), 10},    // shared, behind carriers' NAT
    Network4{v4(127, 0, 0, 0), 8},      // loopback
    Network4{v4(169, 254, 0, 0), 16},   // link-local: clouds keep their metadata service here
    Network4{v4(172, 16, 0, 0), 12},    // private
    Network4{v4(192, 0, 0, 0), 24},     // protocol assignments
    Network4{v4(192, 0, 2, 0), 24},     // documentation
    Network4{v4(192, 88, 99, 0), 24},   // 6to4 relays, withdrawn
    Network4{v4(192, 168, 0, 0), 16},   // private
    Network4{v4(198, 18, 0, 0), 15},    // benchmarks
    Network4{v4(198, 51, 100, 0), 24},  // documentation
    Network4{v4(203, 0, 113, 0), 24},   // documentation
    Network4{v4(224, 0, 0, 0), 4},      // multicast
    Network4{v4(240, 0, 0, 0), 4},      // reserved, broadcast
};

struct Network6 {
  Bytes6 base;
  unsigned bits;
};

// Inside 2000::/3, which is all of IPv6 that is given out to the world; everything outside it is refused anyway.
constexpr std::array special6{
    Network6{{0x20, 0x01}, 23},              // protocol assignments: Teredo, benchmarks, ORCHID
    Network6{{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    Network6{{0x3f, 0xff}, 20},              // documentation
};

bool is_private4(std::uint32_t address) {
  return std::ranges::any_of(special4, [address](const Network4& network) {
    return (address >> (32U - network.bits)) == (network.base >> (32U - network.bits));
  });
}

bool starts_with(const Bytes6& address, const Bytes6& base, unsigned bits) {
  for (unsigned bit = 0; bit < bits; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8U));
    if ((address[bit / 8U] & mask) != (base[bit / 8U] & mask)) return false;
  }
  return true;
}

// Four bytes of an IPv6 address that are an IPv4 address.
std::uint32_t embedded4(const Bytes6& address, std::size_t at) {
  return v4(address[at], address[at + 1], address[at + 2], address[at + 3]);
}

bool is_private6(const Bytes6& address) {
  constexpr Bytes6 mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr Bytes6 nat64{0x00, 0x64, 0xff, 0x9b};
  constexpr Bytes6 six_to_four{0x20, 0x02};
  constexpr Bytes6 world{0x20};
  if (starts_with(address, mapped, 96)) return is_private4(embedded4(address, 12));
  if (starts_with(address, nat64, 96)) return is_private4(embedded4(address, 12));
  if (starts_with(address, six_to_four, 16)) return is_private4(embedded4(address, 2));
  if (!starts_with(address, world, 3)) return true;
  return std::ranges::any_of(special6, [&address](const Network6& network) {  //
    return starts_with(address, network.base, network.bits);
  });
}

}  // namespace

bool is_private_address(const void* address) {
  sa_family_t family = AF_UNSPEC;
  std::memcpy(&family, static_cast<const char*>(address) + offsetof(sockaddr, sa_family), sizeof family);
  if (family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return is_private4(ntohl(in.sin_addr.s_addr));
  }
  if (family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    Bytes6 bytes{};
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return is_private6(bytes);
  }
  return true;  // a family that we know nothing of is not the internet
}

bool is_private_text(const std::string& address) {
  in_addr four{};
  if (inet_pton(AF_INET, address.c_str(), &four) == 1) return is_private4(ntohl(four.s_addr));
  const std::string plain = address.substr(0, address.find('%'));
  in6_addr six{};
  if (inet_pton(AF_INET6, plain.c_str(), &six) != 1) return false;
  Bytes6 bytes{};
  std::memcpy(bytes.data(), &six, bytes.size());
  return is_private6(bytes);
}

bool is_private_host(const std::string& host) {
  if (host.starts_with('[') && host.ends_with(']')) return is_private_text(host.substr(1, host.size() - 2));
  std::string name = host;
  if (name.ends_with('.')) name.pop_back();
  return name == "localhost" || name.ends_with(".localhost") || is_private_text(name);
}

std::string address_text(const void* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  sa_family_t family = AF_UNSPEC;
  std::memcpy(&family, static_cast<const char*>(address) + offsetof(sockaddr, sa_family), sizeof family);
  const char* bytes = static_cast<const char*>(address);
  const char* made = nullptr;
  if (family == AF_INET) made = inet_ntop(family, bytes + offsetof(sockaddr_in, sin_addr), text.data(), text.size());
  if (family == AF_INET6) made = inet_ntop(family, bytes + offsetof(sockaddr_in6, sin6_addr), text.data(), text.size());
  return made != nullptr ? made : "an unknown address";
}

}  // namespace restream
