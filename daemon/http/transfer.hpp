// One HTTP request from its check to its result, redirects included. Runs on: http (but for the constructor and
// check(), which touch nothing but their own object).
//
// It lends its buffers to the easy handle between prepare() and finish(), so it must not move or end in between.
#pragma once

#include <curl/curl.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/cache.hpp"
#include "http/http_client.hpp"
#include "http/url.hpp"

namespace restream {

class Transfer {
 public:
  using Done = std::move_only_function<void(HttpResult)>;

  Transfer(HttpTicket ticket, std::shared_ptr<const HttpOptions> options, HttpRequest request, Done done);
  ~Transfer() { settle(); }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Whether it may be sent at all. To be called once, before anything else; what comes back ends the transfer.
  std::optional<HttpError> check();

  // The origin that it connects to: `connect_to`, or the URL's own. Redirects stay there.
  [[nodiscard]] const std::string& place() const { return place_; }
  [[nodiscard]] HttpTicket ticket() const { return ticket_; }
  [[nodiscard]] SteadyTime deadline() const { return request_.deadline; }
  [[nodiscard]] int requests() const { return requests_; }  // that have gone out
  // Whether nothing has come for the last of them. (A large body may be on its way for longer than an answer takes.)
  [[nodiscard]] bool is_silent() const { return header_bytes_ == 0 && request_.body.size() <= most_watched_body; }

  // Sets every option for the next request: the first one, or the one that a redirect asks for. `sent` is told of the
  // transfer each time that a request of it goes out.
  void prepare(CURL* easy, std::vector<const Transfer*>& sent);

  // libcurl is through with that request. Nothing: there is a redirect to follow, prepare() again.
  std::optional<HttpResult> finish(CURL* easy, CURLcode code);

  // Ends from outside, with what is known of how far it came. `active`: libcurl had it.
  [[nodiscard]] HttpError timed_out(bool active) const;
  [[nodiscard]] HttpError unanswered() const;
  [[nodiscard]] HttpError cancelled() const;

  void tell(HttpResult result) {
    settle();
    done_(std::move(result));
  }

 private:
  static constexpr std::size_t most_watched_body = 64U << 10U;

  struct SlistCleanup {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  using HeaderList = std::unique_ptr<curl_slist, SlistCleanup>;

  void set_method(CURL* easy);
  void set_headers(CURL* easy);
  void set_connection(CURL* easy);
  std::optional<HttpResult> redirect(const std::string& location);
  HttpResponse take_response();
  HttpResponse kept(HttpResponse response);
  // Tells the budget that what was taken from it is over.
  void settle();
  void look_up();
  [[nodiscard]] HttpError error(HttpProblem problem, const std::string& what) const;
  [[nodiscard]] HttpError broken(CURL* easy, CURLcode code) const;
  [[nodiscard]] const std::string* header(std::string_view name) const;
  // Called by libcurl. They must not throw through C: noexcept, so that running out of memory ends the process there.
  static std::size_t on_body(const char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static std::size_t on_header(const char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static curl_socket_t on_socket(void* self, curlsocktype purpose, curl_sockaddr* address) noexcept;
  static int on_ready(void* self, char* address, char* local, int port, int local_port) noexcept;
  bool take_header_line(std::string_view line);

  // Constant after check().
  const HttpTicket ticket_;
  std::shared_ptr<const HttpOptions> options_;
  HttpRequest request_;  // a redirect may change its method and body
  Done done_;
  std::string place_;
  std::string name_;  // of the origin, for messages
  bool through_proxy_ = false;

  // Of the whole transfer.
  Url url_;   // what is asked for now, as the API knows it
  Url wire_;  // the same where it is sent to
  int requests_ = 0;
  int redirects_ = 0;
  unsigned taken_ = 0;  // from the budget, and not over yet
  bool over_quota_ = false;

  // Of the request under way.
  std::vector<const Transfer*>* sent_ = nullptr;
  HeaderList sent_headers_;
  std::array<char, CURL_ERROR_SIZE> curl_says_{};
  std::string private_address_;           // one that we would not connect to
  std::optional<HttpError> own_refusal_;  // why one of our callbacks stopped it
  std::size_t header_bytes_ = 0;
  bool in_head_ = false;                        // between a status line and the empty line
  unsigned layers_ = 0;                         // of compression, around the body
  std::string cache_name_;                      // empty: nothing is kept of its answer
  std::shared_ptr<const CachedAnswer> cached_;  // asked whether it has changed
  HttpResponse response_;
};

}  // namespace restream
