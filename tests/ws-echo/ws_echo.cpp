// A WebSocket server on 127.0.0.1 that sends each message back, whole, up to 16 MiB, with permessage-deflate where the
// client offers it. Prints the port it listens on; ends with SIGTERM or SIGINT.
#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "channel/deflate.hpp"
#include "channel/frame.hpp"
#include "serve/connection.hpp"
#include "serve/handshake.hpp"
#include "serve/loop.hpp"
#include "serve/request.hpp"
#include "serve/session.hpp"
#include "serve/ws_stream.hpp"

using namespace restream;

namespace {

constexpr std::size_t message_limit = 16U << 20U;

class Echo : public Session, public std::enable_shared_from_this<Echo> {
 public:
  explicit Echo(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

  void start() {
    Loop& loop = connection_->loop();
    connection_->on_closed = [weak = weak_from_this(), &loop] {
      if (const auto self = weak.lock()) loop.remove(self.get());
    };
    connection_->on_room = [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->read();
    };
    loop.add(shared_from_this());
    read_head();
  }

  void tick(SteadyTime now) override { connection_->tick(now); }
  void go_away() override { connection_->abort(); }
  void abort() override { connection_->abort(); }
  [[nodiscard]] bool lasting() const override { return false; }
  [[nodiscard]] bool leaving() const override { return connection_->ending(); }

 private:
  void read_head() {
    connection_->read([self = shared_from_this()](const ErrorCode& error, std::string_view bytes) {
      if (error) return self->connection_->abort();
      self->head_.append(bytes);
      const std::size_t end = self->head_.find("\r\n\r\n");
      if (end == std::string::npos) return self->read_head();
      self->open(end + 4);
    });
  }

  void open(std::size_t head_size) {
    const auto request = parse_request(std::string_view(head_).substr(0, head_size));
    if (!request || !request->upgrade() || handshake_refusal(*request)) return connection_->abort();
    const Deflating agreed = accept_deflate(*request);
    if (agreed.ours) deflater_ = std::make_unique<Deflater>();
    connection_->send(std::make_shared<const std::string>(handshake_bytes(*request, "ws-echo", "", agreed.extension)));
    stream_ =
        std::make_unique<WsStream>(connection_, head_.substr(head_size), message_limit, !agreed.extension.empty());
    head_.clear();
    read();
  }

  void read() {
    const bool enough = connection_->outbox().queued() > Connection::high_water;
    if (reading_ || !stream_ || connection_->closed() || (enough && !connection_->ending())) return;
    reading_ = true;
    stream_->read([self = shared_from_this()](const ErrorCode& error, WsStream::Message message) {
      self->reading_ = false;
      if (error) return self->connection_->drain_and_close(true);
      std::string frame;
      append_frame(frame, message.bytes, self->deflater_.get());
      constexpr unsigned text_to_binary = 0x03;  // opcode 1 becomes 2
      if (!message.text) frame[0] = static_cast<char>(static_cast<unsigned char>(frame[0]) ^ text_to_binary);
      self->connection_->send(std::make_shared<const std::string>(std::move(frame)));
      self->read();
    });
  }

  std::shared_ptr<Connection> connection_;
  std::string head_;
  std::unique_ptr<Deflater> deflater_;
  std::unique_ptr<WsStream> stream_;
  bool reading_ = false;
};

void accept(asio::ip::tcp::acceptor& acceptor, Loop& loop) {
  acceptor.async_accept(loop.io(), [&](const ErrorCode& error, auto socket) {
    if (error) return;
    socket.non_blocking(true);
    socket.set_option(asio::ip::tcp::no_delay(true));
    Socket ours(loop.io().get_executor(), asio::ip::tcp::v4(), socket.release());
    std::make_shared<Echo>(std::make_shared<Connection>(loop, std::move(ours), nullptr, "client", ConnectionSlot()))
        ->start();
    accept(acceptor, loop);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = static_cast<unsigned short>(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 0);
  const ServeContext context{.clock = real_clock(), .log = Log::none(), .feed = {}};
  Loop loop(context, std::make_shared<const ServeRules>(ServerOptions{.message_size = message_limit}), 0);
  asio::ip::tcp::acceptor acceptor(loop.io(), {asio::ip::address_v4::loopback(), port});
  asio::signal_set signals(loop.io(), SIGTERM, SIGINT);
  signals.async_wait([&](const ErrorCode&, int) {
    acceptor.close();
    loop.stop();
  });
  accept(acceptor, loop);
  std::cout << acceptor.local_endpoint().port() << std::endl;
  loop.run();
  loop.finish();
  return 0;
}
