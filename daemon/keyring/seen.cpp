#include "keyring/seen.hpp"

#include <charconv>

#include "keys/base64.hpp"

namespace restream {

namespace {

constexpr std::string_view first_line = "restream-keystore-seen/1\n";

// Takes "NAME VALUE\n" off the front of `text`, and gives the value.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  text.remove_prefix(name.size());
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view value = text.substr(0, end);
  text.remove_prefix(end + 1);
  return value;
}

}  // namespace

std::string print_seen(const Seen& seen) {
  return std::string(first_line) + "id " + keys::base64(seen.id) + "\ngen " + std::to_string(seen.gen) + "\nsha256 " +
         keys::base64(seen.sha256) + "\n";
}

std::optional<Seen> parse_seen(std::string_view text) {
  std::string_view rest = text;
  if (!rest.starts_with(first_line)) return std::nullopt;
  rest.remove_prefix(first_line.size());
  const auto id = take_line(rest, "id ");
  const auto gen = take_line(rest, "gen ");
  const auto sha256 = take_line(rest, "sha256 ");
  if (!id || !gen || !sha256) return std::nullopt;
  Seen seen;
  if (!keys::base64_decode(*id, seen.id) || !keys::base64_decode(*sha256, seen.sha256)) return std::nullopt;
  if (std::from_chars(gen->data(), gen->data() + gen->size(), seen.gen).ec != std::errc{}) return std::nullopt;
  if (print_seen(seen) != text) return std::nullopt;
  return seen;
}

std::string rollback_reason(const Seen& before, const Seen& now) {
  if (now.id != before.id) return "it is another keystore than the one read before";
  if (now.gen < before.gen)
    return "it is older (generation " + std::to_string(now.gen) + ") than the one read before (generation " +
           std::to_string(before.gen) + ")";
  if (now.gen == before.gen && now.sha256 != before.sha256)
    return "it differs from the one read before, which had the same generation " + std::to_string(now.gen);
  return {};
}

}  // namespace restream
