#include "serve/origin.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

namespace restream {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '%';
}

// "host", "host:81" and "[::1]:81" -> "host:80", "host:81", "[::1]:81".
std::optional<std::string> with_port(std::string_view authority, std::string_view default_port) {
  std::size_t end = 0;
  if (authority.starts_with('[')) {
    end = authority.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    ++end;
    const std::string_view inside = authority.substr(1, end - 2);
    if (inside.empty() || inside.find_first_not_of("0123456789abcdef:.") != std::string_view::npos) return std::nullopt;
  } else {
    end = std::min(authority.find(':'), authority.size());
    if (end == 0 || !std::ranges::all_of(authority.substr(0, end), is_host_char)) return std::nullopt;
  }
  std::string_view port = authority.substr(end);
  if (port.empty()) return std::string(authority) + ':' + std::string(default_port);
  if (port[0] != ':') return std::nullopt;
  port.remove_prefix(1);
  std::uint16_t number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port.empty() || parsed.ec != std::errc{} || parsed.ptr != port.data() + port.size()) return std::nullopt;
  return std::string(authority.substr(0, end)) + ':' + std::to_string(number);
}

// Nothing for what is not scheme://host[:port]; "null" is not.
std::optional<std::string> one_spelling(std::string_view origin) {
  const std::string text = lower(origin);
  for (const auto& [scheme, port] : {std::pair("http://", "80"), std::pair("https://", "443")}) {
    if (!text.starts_with(scheme)) continue;
    const auto authority = with_port(std::string_view(text).substr(std::string_view(scheme).size()), port);
    if (!authority) return std::nullopt;
    return scheme + *authority;
  }
  return std::nullopt;
}

}  // namespace

OriginRule::OriginRule(const std::vector<std::string>& listed) {
  for (const std::string& origin : listed) {
    if (origin == "*") any_ = true;
    if (auto spelled = one_spelling(origin)) listed_.push_back(std::move(*spelled));
  }
}

bool OriginRule::allows(std::string_view origin, std::string_view host, bool https) const {
  const auto spelled = one_spelling(origin);
  if (!spelled) return false;  // "null" above all, which any page in a sandbox has
  if (any_ || std::ranges::find(listed_, *spelled) != listed_.end()) return true;
  const auto own = with_port(lower(host), https ? "443" : "80");
  return own && *spelled == (https ? "https://" : "http://") + *own;
}

}  // namespace restream
