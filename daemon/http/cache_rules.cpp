#include "http/cache_rules.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "http/text.hpp"

namespace restream {

namespace {

constexpr std::array signed_names{std::string_view("oauth_nonce"), std::string_view("oauth_timestamp"),
                                  std::string_view("oauth_signature")};
constexpr std::array numbering_headers{std::string_view("x-request-id"), std::string_view("x-correlation-id"),
                                       std::string_view("traceparent"), std::string_view("tracestate"),
                                       std::string_view("date")};
constexpr std::array own_conditions{std::string_view("if-none-match"), std::string_view("if-modified-since"),
                                    std::string_view("if-match"),      std::string_view("if-unmodified-since"),
                                    std::string_view("if-range"),      std::string_view("range")};

template <typename List>
bool is_one_of(const List& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

// Calls `each` with every piece between separators.
template <typename Each>
void split(std::string_view text, char separator, Each each) {
  while (true) {
    const std::size_t at = std::min(text.find(separator), text.size());
    each(text.substr(0, at));
    if (at == text.size()) return;
    text.remove_prefix(at + 1);
  }
}

std::string unsigned_url(std::string_view url) {
  const std::size_t mark = url.find('?');
  if (mark == std::string_view::npos) return std::string(url);
  std::string out(url.substr(0, mark + 1));
  split(url.substr(mark + 1), '&', [&out](std::string_view one) {
    if (!is_one_of(signed_names, one.substr(0, one.find('=')))) (out += one) += '&';
  });
  return out;
}

std::string unsigned_authorization(std::string_view value) {
  if (!lower(value.substr(0, 6)).starts_with("oauth ")) return std::string(value);
  std::string out = "OAuth ";
  split(value.substr(6), ',', [&out](std::string_view one) {
    const std::string_view part = trim(one);
    if (!is_one_of(signed_names, trim(part.substr(0, part.find('='))))) (out += part) += ',';
  });
  return out;
}

bool has_directive(const HttpHeaders& headers, std::string_view header, std::string_view wanted) {
  bool found = false;
  for (const auto& [name, value] : headers)
    if (lower(name) == header)
      split(value, ',', [&](std::string_view one) { found = found || lower(trim(one)) == wanted; });
  return found;
}

bool is_strong_date(const HttpHeaders& headers, WallTime now) {
  const std::string* modified = find_header(headers, "last-modified");
  if (modified == nullptr) return false;
  const std::string* date = find_header(headers, "date");
  const auto changed = parse_http_date(*modified);
  const auto sent = date != nullptr ? parse_http_date(*date) : std::optional(now);
  return changed && sent && *sent - *changed >= Seconds(1);
}

bool speaks_of_now(std::string_view name) {
  return name == "age" || name == "date" || name == "retry-after" || name == "x-poll-interval" ||
         name.starts_with("ratelimit") || name.starts_with("x-ratelimit") || name.starts_with("x-rate-limit");
}

// About the bytes of an answer, which a 304 has none of.
bool speaks_of_bytes(std::string_view name) {
  return name.starts_with("content-") || name == "transfer-encoding" || name == "connection";
}

}  // namespace

const std::string* find_header(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [one, value] : headers)
    if (one == name) return &value;
  return nullptr;
}

bool may_be_conditional(const HttpRequest& request) {
  if (request.method != "GET" || !request.body.empty()) return false;
  if (has_directive(request.headers, "cache-control", "no-store")) return false;
  return std::ranges::none_of(request.headers,
                              [](const auto& one) { return is_one_of(own_conditions, lower(one.first)); });
}

std::string cache_subject(const HttpRequest& request, std::string_view url, std::string_view wire_origin,
                          std::string_view user_agent) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : request.headers) {
    const std::string lower_name = lower(name);
    if (is_one_of(numbering_headers, lower_name)) continue;
    lines.push_back(lower_name + ':' + (lower_name == "authorization" ? unsigned_authorization(value) : value));
  }
  std::ranges::sort(lines);
  // Sizes in front, so that no two lists of texts are one text.
  std::string out;
  const auto add = [&out](std::string_view text) { ((out += std::to_string(text.size())) += ' ') += text; };
  add(request.method);
  add(unsigned_url(url));
  add(wire_origin);
  add(user_agent);
  for (const std::string& line : lines) add(line);
  return out;
}

bool may_be_kept(const HttpResponse& response, WallTime now) {
  if (response.status != 200) return false;
  if (has_directive(response.headers, "cache-control", "no-store")) return false;
  if (has_directive(response.headers, "vary", "*")) return false;
  return find_header(response.headers, "etag") != nullptr || is_strong_date(response.headers, now);
}

HttpResponse replayed(const HttpHeaders& kept, const std::string& body, const HttpResponse& not_modified) {
  HttpResponse out{.status = 200, .headers = {}, .body = body, .requests = not_modified.requests, .revalidated = true};
  for (const auto& [name, value] : not_modified.headers)
    if (!speaks_of_bytes(name)) out.headers.emplace_back(name, value);
  for (const auto& [name, value] : kept)
    if (speaks_of_bytes(name) || (!speaks_of_now(name) && find_header(not_modified.headers, name) == nullptr))
      out.headers.emplace_back(name, value);
  return out;
}

}  // namespace restream
