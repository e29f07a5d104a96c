// How a transfer ends: the answer, a redirect, or one of the ways in which it failed.
#include "http/cache_rules.hpp"
#include "http/text.hpp"
#include "http/transfer.hpp"

namespace restream {

namespace {

constexpr int max_redirects = 3;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

std::optional<HttpResult> Transfer::finish(CURL* easy, CURLcode code) {
  settle();
  if (own_refusal_) return std::unexpected(std::move(*own_refusal_));
  if (code != CURLE_OK) return std::unexpected(broken(easy, code));
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  const std::string* location = header("location");
  if (is_redirect(response_.status) && location != nullptr) return redirect(*location);
  return take_response();
}

std::optional<HttpResult> Transfer::redirect(const std::string& location) {
  if (redirects_ == max_redirects)
    return std::unexpected(
        error(HttpProblem::refused, "more than " + std::to_string(max_redirects) + " redirects in a row"));
  std::expected<Url, HttpError> next = follow(url_, location);
  if (!next)
    return std::unexpected(error(HttpProblem::refused, "its redirect cannot be followed: " + next.error().message));
  if (next->origin != url_.origin)
    return std::unexpected(
        error(HttpProblem::refused, "it redirects to " + next->origin + "; requests and keys do not follow elsewhere"));
  std::expected<Url, HttpError> wire = *next;
  if (!request_.rules->connect_to.empty()) wire = moved_to(*next, request_.rules->connect_to);
  if (!wire) return std::unexpected(error(HttpProblem::refused, "its redirect cannot be followed"));
  // As browsers and libcurl do: 303 always turns into a GET, the older two do so for POST.
  const int status = response_.status;
  const bool was_post = request_.method == "POST";
  if ((status == 303 && request_.method != "HEAD") || ((status == 301 || status == 302) && was_post)) {
    request_.method = "GET";
    request_.body.clear();
    std::erase_if(request_.headers, [](const auto& one) { return lower(one.first) == "content-type"; });
  }
  url_ = std::move(*next);
  wire_ = std::move(*wire);
  ++redirects_;
  return std::nullopt;
}

HttpResponse Transfer::take_response() {
  const std::string* coding = header("content-encoding");
  if (coding != nullptr && request_.method != "HEAD")
    std::erase_if(response_.headers,
                  [](const auto& one) { return one.first == "content-encoding" || one.first == "content-length"; });
  response_.requests = requests_;
  return kept(std::move(response_));
}

// What the cache makes of an answer: a 304 to our own question becomes the answer from before.
HttpResponse Transfer::kept(HttpResponse response) {
  if (cache_name_.empty()) return response;
  if (response.status == 304 && cached_) return replayed(cached_->headers, cached_->body, response);
  if (may_be_kept(response, std::chrono::system_clock::now()))
    options_->cache->put(cache_name_, {.headers = response.headers, .body = response.body});
  else if (response.status == 200)
    options_->cache->drop(cache_name_);
  return response;
}

const std::string* Transfer::header(std::string_view name) const {
  for (const auto& [one, value] : response_.headers)
    if (one == name) return &value;
  return nullptr;
}

HttpError Transfer::error(HttpProblem problem, const std::string& what) const {
  return {.problem = problem, .message = name_ + ": " + what, .requests = requests_};
}

HttpError Transfer::broken(CURL* easy, CURLcode code) const {
  // libcurl's own words where they say more than the code and cannot hold any part of the request.
  const std::string said = curl_says_.front() != '\0' ? curl_says_.data() : curl_easy_strerror(code);
  long proxy_status = 0;
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  if (proxy_status >= 300)
    return error(HttpProblem::unreachable,
                 "the proxy answered " + std::to_string(proxy_status) + " instead of connecting");
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_ABORTED_BY_CALLBACK:
      if (over_quota_) return error(HttpProblem::quota, "the quota is used up");
      if (!private_address_.empty())
        return error(HttpProblem::refused, "its address is " + private_address_ +
                                               ", a private one; set allow_private for this fetcher if that is meant");
      return error(HttpProblem::unreachable, "no connection: " + said);
    case CURLE_FILESIZE_EXCEEDED:
      return error(HttpProblem::too_large, "the answer is larger than " + std::to_string(options_->body) + " bytes");
    case CURLE_OPERATION_TIMEDOUT:  // only the time for connecting is libcurl's to keep
      return error(HttpProblem::unreachable,
                   "there was no connection within " + std::to_string(options_->connect.count()) + " ms");
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return error(HttpProblem::unreachable, said);
    default:
      return error(HttpProblem::unreachable, std::string("the connection broke off: ") + curl_easy_strerror(code));
  }
}

HttpError Transfer::timed_out(bool active) const {
  if (!active)
    return error(HttpProblem::timeout, "the time was over before one of the " +
                                           std::to_string(options_->requests_per_origin) +
                                           " requests to it that may be under way at once had ended");
  if (requests_ == redirects_) return error(HttpProblem::timeout, "there was no connection in time");
  return error(HttpProblem::timeout, header_bytes_ == 0 ? "it did not answer in time" : "its answer took too long");
}

HttpError Transfer::unanswered() const {
  return error(HttpProblem::timeout,
               "it did not begin to answer within " + std::to_string(options_->first_byte.count()) + " ms");
}

HttpError Transfer::cancelled() const { return error(HttpProblem::cancelled, "the request was cancelled"); }

}  // namespace restream
