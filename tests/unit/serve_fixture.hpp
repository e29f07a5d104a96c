// What the tests of the serve threads share: a Feed that plays core with channels in memory, a server on a free port,
// and a client that sees every byte.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/server.hpp"

struct ssl_st;  // OpenSSL's

namespace restream::test {

struct FreeSsl {
  void operator()(ssl_st* stream) const;
};

// Waits up to `limit` for something that another thread brings about.
bool eventually(const std::function<bool()>& condition, Millis limit = Millis(20000));

// A real clock that the test can move forward, or stop: then no deadline passes, however slow the machine.
class MovedClock {
 public:
  Clock clock();
  void forward(Seconds by) { state_->offset += std::chrono::duration_cast<Millis>(by).count(); }
  void stop();

 private:
  struct State {
    std::atomic<Millis::rep> offset = 0;
    std::atomic<bool> stopped = false;
    std::atomic<SteadyTime> at = SteadyTime();
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Plays core. Fetchers are "news", "other", "big" …: all but "nobody" exist, with any params. Thread-safe.
class FakeCore {
 public:
  Feed feed();
  void serve_on(std::vector<ServeThread> threads) { threads_ = std::move(threads); }

  // Appends events to the channel's log and announces them as one batch.
  void publish(const std::string& fetcher, std::size_t count, std::size_t item_size = 10);
  // As publish(), but the batch is not announced to anybody: a gap.
  void append(const std::string& fetcher, std::size_t count);
  void announce_status(const std::string& fetcher, const std::string& state);
  void announce(Announcement announcement);
  ChannelNumber number(const std::string& fetcher);
  // How many attaches there are that were not detached. Below zero is a defect.
  int attached();
  int attaches();
  int detaches();
  int reads();
  void forget_before(const std::string& fetcher, std::uint64_t offset);

  // While set, replies of this kind are kept until release().
  std::atomic<bool> hold_attach = false;
  std::atomic<bool> hold_reads = false;
  void release();
  std::size_t held();

  // How many ids the events that are appended take turns with; 0: each has its own.
  std::atomic<std::uint64_t> ids = 0;
  // Filters are one, and do not show events of odd offsets.
  std::atomic<bool> filter_odd = false;
  std::atomic<bool> ready = true;
  std::atomic<bool> reads_fail = false;
  std::atomic<bool> resolves_fail = false;  // as of a fetcher that is disabled by now
  std::string status_at_attach;             // the state that attach() reports; empty: live
  std::string last_address;
  std::shared_ptr<const Document> huge =  // what all are answered who get it
      std::make_shared<const Document>(
          Document{.status = 200, .json = std::string(8U << 20U, 'x'), .etag = "\"huge\""});
  Frames snapshot;       // in the place of every snapshot, if there is one
  std::string last_get;  // "fetcher?params" of the last get_channel

 private:
  struct Channel {
    ChannelNumber number = 0;
    std::string fetcher;
    std::shared_ptr<const std::string> label;
    std::vector<Event> events;
    std::uint64_t first = 1;
  };
  Channel& channel(const std::string& fetcher, const Params& params);
  Channel* by_number(ChannelNumber number);
  void answer(std::atomic<bool>& hold, std::function<void()> reply);

  std::recursive_mutex mutex_;
  std::map<std::string, Channel> channels_;
  std::vector<ServeThread> threads_;
  std::deque<std::function<void()>> held_;
  std::map<std::string, int> counts_;
  std::array<bool, forms> used_{};  // by anybody since the beginning: what is announced is encoded for these
  int attaches_ = 0;
  int detaches_ = 0;
  int reads_ = 0;
};

inline constexpr std::uint64_t fake_epoch = 0xabcdef;
inline std::string at(std::uint64_t offset) { return to_text({.epoch = fake_epoch, .offset = offset}); }

struct Frame {
  int opcode = 0;  // 1 text, 8 close, 9 ping, 10 pong; -1: the connection ended
  std::string payload;
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(payload); }
  [[nodiscard]] int code() const;  // of a close frame
  [[nodiscard]] std::string reason() const { return payload.size() > 2 ? payload.substr(2) : ""; }
};

struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;
  [[nodiscard]] std::string header(const std::string& name) const;
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(body); }
};

// A block of an event stream.
struct Block {
  std::string event, data, id, comment, retry;
  bool has_id = false;
  bool ended = false;
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(data); }
};

// A blocking socket; every wait ends after 30 s.
class Client {
 public:
  explicit Client(std::uint16_t port, int receive_buffer = 0, const std::string& address = "127.0.0.1");
  Client(Client&& other) noexcept = default;
  Client& operator=(Client&&) = delete;

  // Speaks TLS from now on; false when the server does not. No certificate is checked.
  bool secure();
  // The common name in the server's certificate.
  [[nodiscard]] std::string certificate_name() const;

  bool send(std::string_view bytes);
  void wait_to_send();  // for as long as it takes, not 30 s
  void half_close();
  // What the server, in this process too, has set for its end: an option of TCP.
  [[nodiscard]] unsigned server_tcp_option(int option) const;
  // What came until the peer closed.
  std::string read_to_end();
  [[nodiscard]] bool ended_without_reset() const { return !reset_; }

  HttpAnswer get(const std::string& path, const std::string& headers = "", const std::string& method = "GET");
  HttpAnswer read_answer(bool with_body = true);

  // The status of the answer to the upgrade.
  int upgrade(const std::string& headers = "", const std::string& path = "/channels");
  void text(std::string_view payload) { frame(0x81, payload); }
  void frame(int first_byte, std::string_view payload);
  Frame read_frame();
  nlohmann::json read_json() { return read_frame().json(); }
  // upgrade() and `ready`.
  void open();
  // Subscribes and reads `subscribed`.
  nlohmann::json subscribe(const std::string& channel, const std::string& more = "");

  // Asks for an event stream; the answer's head, and its body if it is an error.
  HttpAnswer stream(const std::string& path, const std::string& headers = "") {
    return get(path, "Accept: text/event-stream\r\n" + headers);
  }
  // The next block; without one, `ended`.
  Block read_block();
  // The next that holds an event.
  Block read_event();

 private:
  // A descriptor that closes itself.
  class Descriptor {
   public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor();
    operator int() const { return number_; }

   private:
    int number_;
  };
  bool fill();
  Descriptor socket_;
  std::unique_ptr<ssl_st, FreeSsl> tls_;
  bool reset_ = false;
  std::string input_;
};

struct Rig {
  explicit Rig(const std::function<void(ServerOptions&)>& change = [](ServerOptions&) {});
  Client client(int receive_buffer = 0) { return Client(server->port(), receive_buffer); }
  // A client that has read `ready`.
  Client open(int receive_buffer = 0);
  // Whether all who follow are given up when nothing is taken for so long. On a busy machine the server may have sent
  // the last that fits only now: then its ten seconds begin here.
  bool gives_up_after(Seconds time);
  // Until both threads have taken on all connections made before: what is timed about them counts from here at the
  // latest. An answer from one thread says nothing about the other.
  void settle();
  // Until both threads have looked at every session, which they do once a second, a quarter of them at a time.
  void tick();
  // Until both threads have begun: their time counts from then.
  void drain(Millis over, std::function<void()> done);

  MovedClock clock;
  FakeCore core;
  std::unique_ptr<Server> server;
};

}  // namespace restream::test
