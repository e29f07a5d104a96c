#include "http/cache_file.hpp"

#include <cstdint>

namespace restream {

namespace {

constexpr std::string_view magic = "restream cache 1\n";
constexpr std::size_t hash_size = 32;

void put(std::string& out, std::string_view text) {
  for (unsigned shift = 0; shift < 64; shift += 8) out += static_cast<char>((text.size() >> shift) & 0xffU);
  out += text;
}

// Takes one text off the front.
std::optional<std::string_view> take(std::string_view& in) {
  if (in.size() < 8) return std::nullopt;
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < 8; ++i) size |= static_cast<std::uint64_t>(static_cast<unsigned char>(in[i])) << (8 * i);
  in.remove_prefix(8);
  if (size > in.size()) return std::nullopt;
  const std::string_view text = in.substr(0, size);
  in.remove_prefix(size);
  return text;
}

}  // namespace

std::string cache_file_bytes(const std::string& name, const CachedAnswer& answer, const KeyedHash& hash) {
  std::string content = name;
  put(content, answer.body);
  for (const auto& [header, value] : answer.headers) {
    put(content, header);
    put(content, value);
  }
  std::string out(magic);
  out += hash.bytes(content);
  out += std::string_view(content).substr(name.size());
  return out;
}

std::optional<CachedAnswer> read_cache_file(const std::string& name, std::string_view bytes, const KeyedHash& hash) {
  if (!bytes.starts_with(magic) || bytes.size() < magic.size() + hash_size) return std::nullopt;
  const std::string_view said = bytes.substr(magic.size(), hash_size);
  std::string_view rest = bytes.substr(magic.size() + hash_size);
  if (hash.bytes(name + std::string(rest)) != said) return std::nullopt;
  CachedAnswer answer;
  const auto body = take(rest);
  if (!body) return std::nullopt;
  answer.body = *body;
  while (!rest.empty()) {
    const auto header = take(rest);
    const auto value = take(rest);
    if (!header || !value) return std::nullopt;
    answer.headers.emplace_back(*header, *value);
  }
  return answer;
}

}  // namespace restream
