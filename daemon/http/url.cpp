#include "http/url.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <new>

#include "http/text.hpp"

namespace restream {

namespace {

struct UrlCleanup {
  void operator()(CURLU* handle) const { curl_url_cleanup(handle); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlCleanup>;

UrlHandle new_handle() {
  UrlHandle handle(curl_url());
  if (!handle) throw std::bad_alloc();
  return handle;
}

// Empty when the URL has no such part.
std::string part(const UrlHandle& handle, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle.get(), which, &text, flags) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

std::unexpected<HttpError> refuse(HttpProblem problem, std::string message) {
  return std::unexpected(HttpError{.problem = problem, .message = std::move(message)});
}

std::unexpected<HttpError> refuse(CURLUcode code) {
  if (code == CURLUE_USER_NOT_ALLOWED)
    return refuse(HttpProblem::refused, "the URL holds a user name or password before its host; send it as a header");
  return refuse(HttpProblem::bad_request, std::string("the URL cannot be read: ") + curl_url_strerror(code));
}

std::expected<Url, HttpError> read(const UrlHandle& handle) {
  const std::string scheme = lower(part(handle, CURLUPART_SCHEME));
  if (scheme != "http" && scheme != "https")
    return refuse(HttpProblem::bad_request, "the URL's scheme is '" + scheme + "'; only http and https are served");
  Url url;
  url.host = lower(part(handle, CURLUPART_HOST));
  if (url.host.empty()) return refuse(HttpProblem::bad_request, "the URL has no host");
  // Non-ASCII names would be turned into punycode behind our back; a zone names one of this machine's own links.
  if (std::ranges::any_of(url.host, [](char c) { return c <= ' ' || c >= 0x7f; }))
    return refuse(HttpProblem::bad_request, "the URL's host is not ASCII; write the name in its xn-- form");
  if (!part(handle, CURLUPART_ZONEID).empty())
    return refuse(HttpProblem::refused, "the URL's host names a network interface of this machine");
  curl_url_set(handle.get(), CURLUPART_FRAGMENT, nullptr, 0);
  url.origin = scheme + "://" + url.host;
  const std::string port = part(handle, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
  if (!port.empty()) url.origin += ":" + port;
  url.text = part(handle, CURLUPART_URL);
  return url;
}

}  // namespace

std::expected<Url, HttpError> parse_url(const std::string& text) {
  if (text.empty()) return refuse(HttpProblem::bad_request, "the request has no URL");
  if (text.find('\0') != std::string::npos)
    return refuse(HttpProblem::bad_request, "the URL cannot be read: it holds a NUL byte");
  const UrlHandle handle = new_handle();
  const CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER);
  if (code != CURLUE_OK) return refuse(code);
  return read(handle);
}

std::expected<Url, HttpError> follow(const Url& base, const std::string& location) {
  const UrlHandle handle = new_handle();
  // Servers do send spaces and UTF-8 in here; both get percent-encoded.
  constexpr unsigned lenient = CURLU_DISALLOW_USER | CURLU_URLENCODE | CURLU_ALLOW_SPACE;
  CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, base.text.c_str(), CURLU_DISALLOW_USER);
  if (code == CURLUE_OK) code = curl_url_set(handle.get(), CURLUPART_URL, location.c_str(), lenient);
  if (code != CURLUE_OK) return refuse(code);
  return read(handle);
}

std::expected<Url, HttpError> moved_to(const Url& url, const std::string& origin) {
  const std::expected<Url, HttpError> target = parse_url(origin);
  if (!target) return target;
  const std::string authority = target->authority();
  const std::string port = authority.substr(target->host.size());  // ":9000" or nothing
  const std::string scheme = target->origin.substr(0, target->origin.find("://"));
  const UrlHandle handle = new_handle();
  CURLUcode code = curl_url_set(handle.get(), CURLUPART_URL, url.text.c_str(), CURLU_DISALLOW_USER);
  if (code == CURLUE_OK) code = curl_url_set(handle.get(), CURLUPART_SCHEME, scheme.c_str(), 0);
  if (code == CURLUE_OK) code = curl_url_set(handle.get(), CURLUPART_HOST, target->host.c_str(), 0);
  if (code == CURLUE_OK)
    code = curl_url_set(handle.get(), CURLUPART_PORT, port.empty() ? nullptr : port.c_str() + 1, 0);
  if (code != CURLUE_OK) return refuse(code);
  return read(handle);
}

std::expected<std::string, std::string> origin_of(std::string_view url) {
  std::expected<Url, HttpError> parsed = parse_url(std::string(url));
  if (!parsed) return std::unexpected(std::move(parsed.error().message));
  return std::move(parsed->origin);
}

}  // namespace restream
