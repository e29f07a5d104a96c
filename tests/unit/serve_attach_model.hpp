// What the test of every order of steps is made of: scenarios, the log, and a connection whose loop is run by hand.
#pragma once

#include <sys/socket.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>

#include "serve/connection.hpp"
#include "serve/loop.hpp"
#include "serve/subscriptions.hpp"

namespace restream::test {

using nlohmann::json;

inline constexpr std::uint64_t epoch = 7;
inline constexpr ChannelNumber number = 1;
inline constexpr std::uint64_t chunk = 2;  // events that one read gives at most

struct Scenario {
  const char* name = "";
  std::vector<int> batches;            // how many events each poll brings
  int before = 0;                      // so many of them are announced before anything else
  std::optional<std::uint64_t> since;  // resume from there
  bool snapshot = true;
  bool status = false;   // a status changes at some time
  bool trim = false;     // at some time the log loses all events but the newest
  bool blocked = false;  // the client does not read at first
  bool again = false;    // it leaves and comes back
  bool encodes = false;  // it takes core time to encode what it knows to be committed
  bool alone = false;    // nobody else takes this form, so it is not encoded for one who comes in that time
};

// Steps that some part of the system may take next.
enum class Step : std::uint8_t { commit, encode, announce, status, trim, attach, serve, read, deliver, drain, leave };

// Item `id` of each event: a few ids that come and change, so that snapshots differ from histories.
inline std::string item_id(std::uint64_t offset) { return std::to_string(offset % 3); }

inline Event event_at(std::uint64_t offset) {
  return {.offset = offset,
          .time = {},
          .change = {.kind = offset <= 3 ? ChangeKind::new_item : ChangeKind::updated_item,
                     .id = item_id(offset),
                     .item = std::to_string(offset),
                     .patch = "[]"}};
}

inline std::map<std::string, std::uint64_t> state_at(std::uint64_t offset) {
  std::map<std::string, std::uint64_t> state;
  for (std::uint64_t i = 1; i <= offset; ++i) state[item_id(i)] = i;
  return state;
}

// One connection for all runs: only its subscriptions are new each time.
struct Wire {
  Wire() : loop(context, rules, 0) {
    asio::ip::tcp::acceptor acceptor(loop.io(), {asio::ip::address_v4::loopback(), 0});
    Socket client(loop.io().get_executor());
    client.open(asio::ip::tcp::v4());
    client.set_option(asio::socket_base::receive_buffer_size(4096));
    client.connect(acceptor.local_endpoint());
    Socket server(loop.io().get_executor());
    acceptor.accept(server);
    server.set_option(asio::socket_base::send_buffer_size(4096));
    server.set_option(asio::ip::tcp::no_delay(true));
    server.non_blocking(true);
    client.non_blocking(true);
    peer = std::make_unique<Socket>(std::move(client));
    connection = std::make_shared<Connection>(loop, std::move(server), nullptr, "a", ConnectionSlot());
  }
  ~Wire() {
    connection->abort();
    loop.io().restart();
    loop.io().poll();
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void receive() {
    std::array<char, 65536> part{};
    ssize_t size = 0;
    while ((size = ::recv(peer->native_handle(), part.data(), part.size(), MSG_DONTWAIT)) > 0)
      input.append(part.data(), static_cast<std::size_t>(size));
  }
  // Until nothing is on its way any more.
  void drain() {
    do {
      run();
      receive();
    } while (connection->outbox().queued() > 0);
    run();
    receive();
  }
  void run() {
    do loop.io().restart();
    while (loop.io().poll() > 0);
  }
  // The text frames that came; what was sent to block the way is none.
  std::vector<json> messages() {
    std::vector<json> found;
    std::string_view rest = input;
    while (!rest.empty()) {
      if (rest[0] != '\x81') {
        rest.remove_prefix(1);
        continue;
      }
      std::size_t size = static_cast<unsigned char>(rest[1]);
      std::size_t head = 2;
      if (size == 126) {
        size =
            static_cast<std::size_t>(static_cast<unsigned char>(rest[2])) * 256 + static_cast<unsigned char>(rest[3]);
        head = 4;
      }
      found.push_back(json::parse(rest.substr(head, size)));
      rest.remove_prefix(head + size);
    }
    input.clear();
    return found;
  }

  ServeContext context{.clock = real_clock(), .log = Log::none(), .feed = {}};
  std::shared_ptr<const ServeRules> rules = std::make_shared<const ServeRules>(ServerOptions{.send_queue = 0});
  Loop loop;
  std::unique_ptr<Socket> peer;
  std::shared_ptr<Connection> connection;
  std::string input;
};

}  // namespace restream::test
