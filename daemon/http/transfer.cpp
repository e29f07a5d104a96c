#include "http/transfer.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <utility>

#include "http/address.hpp"
#include "http/budget.hpp"
#include "http/cache_rules.hpp"
#include "http/text.hpp"

namespace restream {

namespace {

constexpr std::size_t max_header_bytes = 256U << 10U;  // of one answer; libcurl 7.88 itself sets no bound to their sum

// An option that libcurl refuses is a fault of ours (or a libcurl built without something that we rely on): going on
// without it could mean going on without a protection.
template <typename Value>
void set(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code != CURLE_OK)
    throw std::runtime_error("libcurl refused option " + std::to_string(static_cast<int>(option)) + ": " +
                             curl_easy_strerror(code));
}

bool is_token_char(char c) {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         others.find(c) != std::string_view::npos;
}

// What libcurl writes itself. A plugin that sets them (some HTTP libraries hand them over) loses nothing without.
bool is_ours(const std::string& lower_name) {
  constexpr std::array names{
      "host", "content-length", "transfer-encoding", "accept-encoding", "connection", "keep-alive",
      "te",   "trailer",        "upgrade",           "expect"};
  return std::ranges::find(names, lower_name) != names.end() || lower_name.starts_with("proxy-");
}

// Codings that we ask for. Any other would be undone by libcurl all the same, and zstd may claim 128 MiB for its window
// before the first byte comes out.
constexpr std::array<std::string_view, 4> content_codings{"identity", "gzip", "x-gzip", "deflate"};
// libcurl would inflate an answer that is compressed for its way only, and pass its headers on as they are.
constexpr std::array<std::string_view, 2> transfer_codings{"identity", "chunked"};

// Whether each of a header's codings is one of those.
bool are_expected(std::string_view codings, std::span<const std::string_view> expected) {
  while (!codings.empty()) {
    const std::size_t comma = std::min(codings.find(','), codings.size());
    const std::string coding = lower(trim(codings.substr(0, comma)));
    if (!coding.empty() && std::ranges::find(expected, coding) == expected.end()) return false;
    codings.remove_prefix(std::min(comma + 1, codings.size()));
  }
  return true;
}

unsigned layers_of(std::string_view codings) {
  unsigned layers = 0;
  while (!codings.empty()) {
    const std::size_t comma = std::min(codings.find(','), codings.size());
    const std::string coding = lower(trim(codings.substr(0, comma)));
    if (!coding.empty() && coding != "identity") ++layers;
    codings.remove_prefix(std::min(comma + 1, codings.size()));
  }
  return layers;
}

}  // namespace

Transfer::Transfer(HttpTicket ticket, std::shared_ptr<const HttpOptions> options, HttpRequest request, Done done)
    : ticket_(ticket), options_(std::move(options)), request_(std::move(request)), done_(std::move(done)) {}

std::optional<HttpError> Transfer::check() {
  const std::string& method = request_.method;
  const bool word = std::ranges::all_of(method, [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; });
  if (method.empty() || method.size() > 32 || !word || method == "CONNECT" || method == "TRACE")
    return HttpError{.problem = HttpProblem::bad_request,
                     .message = "the method must be an upper-case word such as GET or POST, and not CONNECT or TRACE"};
  for (const auto& [name, value] : request_.headers) {
    if (name.empty() || !std::ranges::all_of(name, is_token_char))
      return HttpError{.problem = HttpProblem::bad_request,
                       .message = "a header's name is empty or holds a character that cannot be sent"};
    if (std::ranges::any_of(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; }))
      return HttpError{.problem = HttpProblem::bad_request,
                       .message = "the value of header '" + name + "' holds a line end or a NUL byte"};
  }
  std::expected<Url, HttpError> url = parse_url(request_.url);
  if (!url) return std::move(url.error());
  url_ = std::move(*url);
  name_ = url_.origin;
  if (!request_.rules) return error(HttpProblem::refused, "there are no rules that would allow a request");
  const HttpRules& rules = *request_.rules;
  if (std::ranges::find(rules.origins, url_.origin) == rules.origins.end())
    return error(HttpProblem::refused,
                 "requests to this origin are not allowed; only those of the fetcher's api_url are");
  wire_ = url_;
  if (!rules.connect_to.empty()) {
    std::expected<Url, HttpError> wire = moved_to(url_, rules.connect_to);
    if (!wire) return error(HttpProblem::bad_request, "the origin to connect to instead: " + wire.error().message);
    wire_ = std::move(*wire);
    if (wire_.origin != url_.origin) name_ += " (sent to " + wire_.origin + ")";
  }
  place_ = wire_.origin;
  // A proxy connects for us, and on_socket() sees only the proxy. What is local by its very name would be the proxy's
  // own network over there, so that never goes through it and is judged here as ever.
  through_proxy_ = !options_->proxy.empty() && !is_private_host(wire_.host);
  return std::nullopt;
}

void Transfer::prepare(CURL* easy, std::vector<const Transfer*>& sent) {
  sent_ = &sent;
  response_ = HttpResponse{};
  own_refusal_.reset();
  private_address_.clear();
  header_bytes_ = 0;
  in_head_ = false;
  layers_ = 0;
  curl_says_.fill('\0');
  look_up();

  curl_easy_reset(easy);  // keeps nothing of the last user but memory
  set(easy, CURLOPT_PRIVATE, this);
  set(easy, CURLOPT_URL, wire_.text.c_str());
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);  // by hand: each step is checked and counted
  set(easy, CURLOPT_ERRORBUFFER, curl_says_.data());
  set(easy, CURLOPT_USERAGENT, options_->user_agent.c_str());
  set(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
  set(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(easy, CURLOPT_HEADERDATA, this);
  set(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(easy, CURLOPT_WRITEDATA, this);
  set_method(easy);
  set_headers(easy);
  set_connection(easy);
}

// Looked up for each request on its own: what a redirect leads to has validators of its own.
void Transfer::look_up() {
  cache_name_.clear();
  cached_.reset();
  if (!options_->cache || !may_be_conditional(request_)) return;
  cache_name_ = options_->cache->name_of(cache_subject(request_, url_.text, wire_.origin, options_->user_agent));
  cached_ = options_->cache->find(cache_name_);
}

void Transfer::set_method(CURL* easy) {
  if (request_.method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);
    return;
  }
  // Refuses a Content-Length that is too large before the first byte. (Not for HEAD, which sends none.)
  set(easy, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options_->body));
  const bool expects_body = request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH";
  if (expects_body || !request_.body.empty()) {
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set(easy, CURLOPT_POSTFIELDS, request_.body.data());  // not copied
  } else {
    set(easy, CURLOPT_HTTPGET, 1L);
  }
  set(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

void Transfer::set_headers(CURL* easy) {
  sent_headers_.reset();
  const auto add = [this](const std::string& line) {
    curl_slist* longer = curl_slist_append(sent_headers_.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(sent_headers_.release());
    sent_headers_.reset(longer);
  };
  if (wire_.origin != url_.origin) add("Host: " + url_.authority());
  bool has_type = false;
  for (const auto& [name, value] : request_.headers) {
    const std::string lower_name = lower(name);
    if (is_ours(lower_name)) continue;
    has_type = has_type || lower_name == "content-type";
    const std::string_view text = trim(value);
    add(text.empty() ? name + ";" : name + ": " + std::string(text));  // "Name;" is how libcurl is told of an empty one
  }
  if (cached_) {
    if (const std::string* tag = find_header(cached_->headers, "etag")) add("If-None-Match: " + *tag);
    if (const std::string* date = find_header(cached_->headers, "last-modified")) add("If-Modified-Since: " + *date);
  }
  if (!has_type) add("Content-Type:");  // else libcurl claims that a body is a form
  add("Expect:");                       // no 100-continue: it costs a round trip, and a second where it is not known
  set(easy, CURLOPT_HTTPHEADER, sent_headers_.get());
}

void Transfer::set_connection(CURL* easy) {
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_->connect.count()));  // other times the client keeps
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_QUICK_EXIT, 1L);  // else removing a request waits for the resolver's thread
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options_->ca_file.empty()) {
    set(easy, CURLOPT_CAINFO, options_->ca_file.c_str());
    set(easy, CURLOPT_PROXY_CAINFO, options_->ca_file.c_str());
  }
  // Set even when empty: libcurl asks the environment only where these are unset.
  set(easy, CURLOPT_PROXY, through_proxy_ ? options_->proxy.c_str() : "");
  set(easy, CURLOPT_NOPROXY, "");
  set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_socket);
  set(easy, CURLOPT_OPENSOCKETDATA, this);
  set(easy, CURLOPT_PREREQFUNCTION, &Transfer::on_ready);
  set(easy, CURLOPT_PREREQDATA, this);
}

void Transfer::settle() {
  if (taken_ > 0) request_.budget->end(std::exchange(taken_, 0));
}

// A connection is about to be made to `address`, which is what the name has really resolved to.
curl_socket_t Transfer::on_socket(void* self, curlsocktype, curl_sockaddr* address) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const void* target = &address->addr;
  if (!transfer.through_proxy_ && !transfer.request_.rules->allow_private && is_private_address(target)) {
    transfer.private_address_ = address_text(target);
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// There is a connection, and the request is about to be written to it. Asked once more, because the connection may be
// an old one that a fetcher with other rules has left behind. The one place where every request passes, also those that
// libcurl repeats by itself when an idle connection turns out to be dead.
int Transfer::on_ready(void* self, char* address, char*, int, int) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(self);
  if (!transfer.through_proxy_ && !transfer.request_.rules->allow_private && is_private_text(address)) {
    transfer.private_address_ = address;
    return CURL_PREREQFUNC_ABORT;
  }
  if (HttpBudget* budget = transfer.request_.budget.get()) {
    transfer.over_quota_ = !budget->take();
    if (transfer.over_quota_) return CURL_PREREQFUNC_ABORT;
    ++transfer.taken_;
  }
  ++transfer.requests_;
  transfer.sent_->push_back(&transfer);
  return CURL_PREREQFUNC_OK;
}

std::size_t Transfer::on_body(const char* data, std::size_t size, std::size_t count, void* self) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const std::size_t bytes = size * count;
  std::string& body = transfer.response_.body;
  if (bytes > transfer.options_->body - std::min(transfer.options_->body, body.size())) {
    transfer.own_refusal_ = transfer.error(
        HttpProblem::too_large, "the answer is larger than " + std::to_string(transfer.options_->body) + " bytes");
    return 0;  // anything but `bytes` stops the transfer
  }
  body.append(data, bytes);
  return bytes;
}

std::size_t Transfer::on_header(const char* data, std::size_t size, std::size_t count, void* self) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const std::size_t bytes = size * count;
  return transfer.take_header_line({data, bytes}) ? bytes : 0;
}

bool Transfer::take_header_line(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > max_header_bytes) {
    own_refusal_ = error(HttpProblem::too_large,
                         "the answer's headers are larger than " + std::to_string(max_header_bytes) + " bytes");
    return false;
  }
  if (!in_head_ && line.starts_with("HTTP/")) {  // a status line: the final answer after a 100 or 103
    in_head_ = true;
    response_.headers.clear();
    layers_ = 0;
    return true;
  }
  const bool folded = line.starts_with(' ') || line.starts_with('\t');
  const std::string_view content = trim(line);
  if (content.empty()) {
    in_head_ = in_head_ && folded;
    return true;
  }
  if (folded && !response_.headers.empty()) {
    response_.headers.back().second += " " + std::string(content);
    return true;
  }
  const std::size_t colon = content.find(':');
  if (colon == std::string_view::npos) return true;
  std::string name = lower(trim(content.substr(0, colon)));
  const std::string_view value = trim(content.substr(colon + 1));
  if ((name == "content-encoding" && !are_expected(value, content_codings)) ||
      (name == "transfer-encoding" && !are_expected(value, transfer_codings))) {
    own_refusal_ = error(HttpProblem::unreachable, "the answer is compressed in a way that was not asked for");
    return false;
  }
  // Each layer can unfold a thousandfold what the one around it has, without a byte of it reaching on_body(): 5 KB of
  // three layers keep libcurl busy for seconds, and with it every other request; each further layer multiplies that.
  if (name == "content-encoding") layers_ += layers_of(value);
  if (layers_ > 1) {
    own_refusal_ = error(HttpProblem::unreachable, "the answer is compressed more than once");
    return false;
  }
  response_.headers.emplace_back(std::move(name), std::string(value));
  return true;
}

}  // namespace restream
