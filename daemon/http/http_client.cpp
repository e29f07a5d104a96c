#include "http/http_client.hpp"

#include <curl/curl.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "http/transfer.hpp"

namespace restream {

namespace {

constexpr std::size_t max_idle_handles = 64;
constexpr long max_idle_connections = 256;
constexpr Millis longest_sleep{60'000};

// libcurl wants to be set up once before its first use. Calls are counted and, since 7.84, safe from any thread, so
// every client simply holds one of these; the first to come does the work and the last to go undoes it.
struct CurlGlobal {
  CurlGlobal() {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::runtime_error("libcurl cannot be set up");
  }
  ~CurlGlobal() { curl_global_cleanup(); }
  CurlGlobal(const CurlGlobal&) = delete;
  CurlGlobal& operator=(const CurlGlobal&) = delete;
};

struct EasyCleanup {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using EasyHandle = std::unique_ptr<CURL, EasyCleanup>;

struct MultiCleanup {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

void require(CURLMcode code) {
  if (code != CURLM_OK) throw std::runtime_error(std::string("libcurl: ") + curl_multi_strerror(code));
}

// A transfer and where it stands: with libcurl when it has a handle, else in its origin's queue.
struct Entry {
  std::unique_ptr<Transfer> transfer;
  EasyHandle easy;
};

// A request that has gone out, and when its answer must have begun.
struct Watch {
  SteadyTime due;
  HttpTicket ticket = 0;
  int request = 0;  // the how-many-eth of its transfer
};

// The requests to one origin. Tickets rise, so the lowest one that waits came first.
struct Origin {
  std::size_t active = 0;
  std::set<HttpTicket> waiting;
};

}  // namespace

struct HttpClient::Impl {
  Impl(HttpOptions given, Clock clock_given);
  ~Impl();

  // From any thread.
  HttpTicket start(HttpRequest request, Transfer::Done done);
  void cancel(HttpTicket ticket);

  // All below: only on the http thread.
  void run();
  bool take_orders();  // false: time to stop
  void admit(std::unique_ptr<Transfer> transfer);
  void fill(const std::string& place);
  void launch(Entry& entry);
  void watch_sent();
  void expire();
  void expire_silent();
  void collect();
  void end(std::map<HttpTicket, Entry>::iterator at, HttpResult result);
  void end_all();
  EasyHandle take_handle();
  void detach(Entry& entry);
  [[nodiscard]] int sleep_ms() const;

  // Constant after construction.
  const Clock clock;
  const CurlGlobal global;
  const std::unique_ptr<CURLM, MultiCleanup> multi;

  std::mutex mutex;
  std::shared_ptr<const HttpOptions> options;     // GUARDED_BY mutex
  std::vector<std::unique_ptr<Transfer>> orders;  // GUARDED_BY mutex
  std::vector<HttpTicket> cancels;                // GUARDED_BY mutex
  HttpTicket last_ticket = 0;                     // GUARDED_BY mutex
  bool stopping = false;                          // GUARDED_BY mutex

  std::atomic<std::size_t> requests_per_origin;
  std::atomic<std::size_t> active{0};
  std::atomic<std::size_t> waiting{0};

  // The http thread's own.
  std::map<HttpTicket, Entry> entries;
  std::map<std::string, Origin> origins;  // only those with something to do
  std::set<std::pair<SteadyTime, HttpTicket>> deadlines;
  std::vector<const Transfer*> sent;  // by the curl_multi_perform() under way
  std::deque<Watch> watched;          // all have the same time to answer in, so they are in order
  std::vector<EasyHandle> idle_handles;

  std::thread thread;  // last: everything above is there when it starts
};

HttpClient::Impl::Impl(HttpOptions given, Clock clock_given)
    : clock(std::move(clock_given)), multi(curl_multi_init()), requests_per_origin(given.requests_per_origin) {
  options = std::make_shared<const HttpOptions>(std::move(given));
  if (!multi) throw std::runtime_error("libcurl cannot be set up");
  // One request at a time on a connection, also on HTTP/2: libcurl 7.88, Debian 12's, now and then forgets streams that
  // share a connection, and their requests end at the deadline with the answer unread (docs/decisions.md).
  require(curl_multi_setopt(multi.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING));
  require(curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, max_idle_connections));
  // Signals are the main thread's affair; and libcurl leaves SIGPIPE, which OpenSSL's writes can raise, to us.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

HttpClient::Impl::~Impl() {
  {
    const std::scoped_lock lock(mutex);
    stopping = true;
  }
  curl_multi_wakeup(multi.get());
  thread.join();
}

HttpTicket HttpClient::Impl::start(HttpRequest request, Transfer::Done done) {
  HttpTicket ticket = 0;
  {
    const std::scoped_lock lock(mutex);
    ticket = ++last_ticket;
    orders.push_back(std::make_unique<Transfer>(ticket, options, std::move(request), std::move(done)));
  }
  curl_multi_wakeup(multi.get());
  return ticket;
}

void HttpClient::Impl::cancel(HttpTicket ticket) {
  {
    const std::scoped_lock lock(mutex);
    cancels.push_back(ticket);
  }
  curl_multi_wakeup(multi.get());
}

void HttpClient::Impl::run() {
  pthread_setname_np(pthread_self(), "http");
  while (take_orders()) {
    expire();
    int running = 0;
    require(curl_multi_perform(multi.get(), &running));
    watch_sent();
    collect();
    // What was started since take_orders(), also from inside `done`, has left a wakeup behind: no sleep then.
    require(curl_multi_poll(multi.get(), nullptr, 0, sleep_ms(), nullptr));
  }
  end_all();
}

bool HttpClient::Impl::take_orders() {
  std::vector<std::unique_ptr<Transfer>> new_orders;
  std::vector<HttpTicket> new_cancels;
  {
    const std::scoped_lock lock(mutex);
    if (stopping) return false;
    new_orders.swap(orders);
    new_cancels.swap(cancels);
  }
  for (std::unique_ptr<Transfer>& transfer : new_orders) admit(std::move(transfer));
  for (const HttpTicket ticket : new_cancels) {
    const auto at = entries.find(ticket);
    if (at != entries.end()) end(at, std::unexpected(at->second.transfer->cancelled()));
  }
  return true;
}

void HttpClient::Impl::admit(std::unique_ptr<Transfer> transfer) {
  if (std::optional<HttpError> refusal = transfer->check()) {
    transfer->tell(std::unexpected(std::move(*refusal)));
    return;
  }
  const std::string place = transfer->place();
  const HttpTicket ticket = transfer->ticket();
  deadlines.emplace(transfer->deadline(), ticket);
  origins[place].waiting.insert(ticket);
  entries[ticket].transfer = std::move(transfer);
  ++waiting;
  fill(place);
}

// Hands requests to libcurl for as long as their origin has room; forgets an origin that has nothing to do.
void HttpClient::Impl::fill(const std::string& place) {
  const auto at = origins.find(place);
  Origin& origin = at->second;
  while (!origin.waiting.empty() && origin.active < requests_per_origin) {
    Entry& entry = entries.at(*origin.waiting.begin());
    origin.waiting.erase(origin.waiting.begin());
    --waiting;
    ++active;
    ++origin.active;
    entry.easy = take_handle();
    launch(entry);
  }
  if (origin.active == 0 && origin.waiting.empty()) origins.erase(at);
}

void HttpClient::Impl::launch(Entry& entry) {
  entry.transfer->prepare(entry.easy.get(), sent);
  require(curl_multi_add_handle(multi.get(), entry.easy.get()));
}

// No transfer ends while libcurl performs, so all that were sent are still there.
void HttpClient::Impl::watch_sent() {
  if (sent.empty()) return;
  SteadyTime due = clock.steady();
  {
    const std::scoped_lock lock(mutex);
    due += options->first_byte;
  }
  for (const Transfer* transfer : sent) watched.push_back({due, transfer->ticket(), transfer->requests()});
  sent.clear();
}

// Those that have been answered, or that asked again since, have nothing to fear from their watch.
void HttpClient::Impl::expire_silent() {
  for (const SteadyTime now = clock.steady(); !watched.empty() && watched.front().due <= now; watched.pop_front()) {
    const Watch& watch = watched.front();
    const auto at = entries.find(watch.ticket);
    if (at == entries.end()) continue;
    const Transfer& transfer = *at->second.transfer;
    if (transfer.is_silent() && transfer.requests() == watch.request) end(at, std::unexpected(transfer.unanswered()));
  }
}

void HttpClient::Impl::expire() {
  expire_silent();
  const SteadyTime now = clock.steady();
  std::vector<HttpTicket> late;
  for (auto at = deadlines.begin(); at != deadlines.end() && at->first <= now; ++at) late.push_back(at->second);
  // Those that wait go first, else the places that the others leave would be given to them.
  std::ranges::stable_partition(late, [this](HttpTicket ticket) { return entries.at(ticket).easy == nullptr; });
  for (const HttpTicket ticket : late) {
    const auto at = entries.find(ticket);
    end(at, std::unexpected(at->second.transfer->timed_out(at->second.easy != nullptr)));
  }
}

void HttpClient::Impl::collect() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;  // `message` does not outlive the next call
    Transfer* transfer = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    const auto at = entries.find(transfer->ticket());
    require(curl_multi_remove_handle(multi.get(), easy));
    std::optional<HttpResult> result = transfer->finish(easy, code);
    if (result)
      end(at, std::move(*result));
    else
      launch(at->second);  // a redirect: it keeps its place
  }
}

// Everything about the request is gone before `done` hears of it, so that `done` may do as it likes.
void HttpClient::Impl::end(std::map<HttpTicket, Entry>::iterator at, HttpResult result) {
  const std::unique_ptr<Transfer> transfer = std::move(at->second.transfer);
  const std::string place = transfer->place();
  Origin& origin = origins.at(place);
  if (at->second.easy) {
    detach(at->second);
    --origin.active;
    --active;
  } else {
    origin.waiting.erase(at->first);
    --waiting;
  }
  deadlines.erase({transfer->deadline(), at->first});
  entries.erase(at);
  fill(place);
  transfer->tell(std::move(result));
}

void HttpClient::Impl::detach(Entry& entry) {
  require(curl_multi_remove_handle(multi.get(), entry.easy.get()));  // no harm when it is out already
  if (idle_handles.size() < max_idle_handles) {
    curl_easy_reset(entry.easy.get());  // forgets all pointers into the transfer
    idle_handles.push_back(std::move(entry.easy));
  }
  entry.easy.reset();
}

EasyHandle HttpClient::Impl::take_handle() {
  if (!idle_handles.empty()) {
    EasyHandle easy = std::move(idle_handles.back());
    idle_handles.pop_back();
    return easy;
  }
  EasyHandle easy(curl_easy_init());
  if (!easy) throw std::bad_alloc();
  return easy;
}

// `done` may start further requests even now: those are cancelled too, until there are none.
void HttpClient::Impl::end_all() {
  while (true) {
    std::map<HttpTicket, Entry> last = std::exchange(entries, {});
    {
      const std::scoped_lock lock(mutex);
      for (std::unique_ptr<Transfer>& transfer : orders) last[transfer->ticket()].transfer = std::move(transfer);
      orders.clear();
    }
    if (last.empty()) return;
    for (auto& [ticket, entry] : last) {
      if (entry.easy) detach(entry);
      entry.transfer->tell(std::unexpected(entry.transfer->cancelled()));
    }
  }
}

int HttpClient::Impl::sleep_ms() const {
  if (deadlines.empty()) return static_cast<int>(longest_sleep.count());
  SteadyTime next = deadlines.begin()->first;
  if (!watched.empty()) next = std::min(next, watched.front().due);
  const auto left = std::chrono::ceil<Millis>(next - clock.steady());
  return static_cast<int>(std::clamp(left, Millis{0}, longest_sleep).count());
}

void HttpClient::set_options(HttpOptions options) {
  const std::scoped_lock lock(impl_->mutex);
  options.cache = impl_->options->cache;
  impl_->requests_per_origin = options.requests_per_origin;
  impl_->options = std::make_shared<const HttpOptions>(std::move(options));
}

HttpClient::HttpClient(HttpOptions options, Clock clock)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(clock))) {}

HttpClient::~HttpClient() = default;

HttpTicket HttpClient::start(HttpRequest request, std::move_only_function<void(HttpResult)> done) {
  return impl_->start(std::move(request), std::move(done));
}

void HttpClient::cancel(HttpTicket ticket) { impl_->cancel(ticket); }

HttpLoad HttpClient::load() const { return {.active = impl_->active, .waiting = impl_->waiting}; }

}  // namespace restream
