// The WebSocket side of a connection that Beast does for us: handshake, reading frames, answering pings and closes.
// Runs on: serve.
//
// What we have to say goes to the Connection as ready frames, past Beast. Beast's own frames go the same way: it
// writes to a layer that copies each of them, whole, into the connection's outbox. Once a close frame has gone out,
// Beast's or ours, the Connection takes nothing more; so no data frame ever follows one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "serve/connection.hpp"
#include "serve/request.hpp"

namespace restream {

class WsStream {
 public:
  // Longer messages end the stream with 1009.
  WsStream(std::shared_ptr<Connection> connection, std::size_t message_size);
  ~WsStream();
  WsStream(const WsStream&) = delete;
  WsStream& operator=(const WsStream&) = delete;

  // `early` is what came right behind the request; `protocol` is the subprotocol to answer with, or empty. On failure
  // the client has been answered, or is gone.
  void accept(const Request& request, std::string early, const std::string& server, const std::string& protocol,
              std::function<void(const ErrorCode&)> opened);

  // The next message. An error is the end of the stream; if it was the client's fault, or its wish, a close frame is
  // on its way. One read at a time.
  struct Message {
    bool text = true;
    std::string_view bytes;  // until the next read
  };
  void read(std::function<void(const ErrorCode&, Message)> done);

  // Called for every ping, pong and close that comes in.
  void on_control(std::function<void()> call);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace restream
