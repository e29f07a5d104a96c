// The WebSocket protocol of one connection (RFC 6455): what comes in as messages, and the answers that the protocol
// itself asks for (pong, close). Runs on: serve.
//
// What we have to say goes to the Connection as ready frames, past this class. Once a close frame has gone out, whoever
// sent it, the Connection takes nothing more; so no data frame ever follows one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "serve/connection.hpp"
#include "serve/frame_reader.hpp"

namespace restream {

class WsStream {
 public:
  // `early` is what came right behind the handshake; messages longer than `message_size` end the stream with 1009.
  // `deflate`: permessage-deflate was agreed on.
  WsStream(std::shared_ptr<Connection> connection, std::string early, std::size_t message_size, bool deflate)
      : connection_(std::move(connection)), early_(std::move(early)), reader_(message_size, deflate) {}

  // The next message; never from within. An error is the end of the stream; if it was the client's fault, or its wish,
  // a close frame is on its way. One read at a time, and `done` keeps the stream alive.
  struct Message {
    bool text = true;
    std::string_view bytes;  // until the next read
  };
  using Done = std::move_only_function<void(const ErrorCode&, Message)>;
  void read(Done done);

  // When the last ping or pong came.
  [[nodiscard]] SteadyTime last_control() const { return last_control_; }

 private:
  void handle(std::string_view bytes, Done done);
  void end(std::uint16_t code, std::string_view reason, Done done);

  std::shared_ptr<Connection> connection_;
  std::string early_;  // came with the last read, and was not looked at yet
  FrameReader reader_;
  SteadyTime last_control_ = SteadyTime::min();
};

}  // namespace restream
