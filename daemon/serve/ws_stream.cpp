#include "serve/ws_stream.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "serve/close_frame.hpp"
#include "serve/loop.hpp"

namespace restream {

namespace {

// At most 125 bytes, as the ping had.
Frames pong(std::string_view payload) {
  std::string frame = "\x8a";
  frame += static_cast<char>(payload.size());
  return std::make_shared<const std::string>(frame.append(payload));
}

}  // namespace

void WsStream::read(Done done) {
  if (!early_.empty()) {
    asio::post(connection_->socket().get_executor(),
               [this, bytes = std::exchange(early_, {}), done = std::move(done)]() mutable {
                 handle(bytes, std::move(done));
               });
    return;
  }
  reader_.forget_told();
  connection_->read([this, done = std::move(done)](const ErrorCode& error, std::string_view bytes) mutable {
    if (error) return done(error, {});
    handle(bytes, std::move(done));
  });
}

void WsStream::handle(std::string_view bytes, Done done) {
  while (const auto event = reader_.next(bytes)) {
    switch (event->kind) {
      case FrameReader::Kind::text:
      case FrameReader::Kind::binary:
        early_ = bytes;
        return done({}, {.text = event->kind == FrameReader::Kind::text, .bytes = event->bytes});
      case FrameReader::Kind::ping:
        connection_->send(pong(event->bytes));
        [[fallthrough]];
      case FrameReader::Kind::pong:
        last_control_ = connection_->loop().now();
        break;
      case FrameReader::Kind::close:
        return end(event->code, {}, std::move(done));
      case FrameReader::Kind::fault:
        return end(event->code, event->bytes, std::move(done));
    }
    // A client that pings and does not read is not read from either, until it does.
    if (connection_->outbox().queued() <= Connection::high_water) continue;
    early_ = bytes;
    return connection_->when_room([this, done = std::move(done)]() mutable { read(std::move(done)); });
  }
  read(std::move(done));
}

void WsStream::end(std::uint16_t code, std::string_view reason, Done done) {
  connection_->send_last(std::make_shared<const std::string>(close_frame(code, reason)), true);
  done(asio::error::eof, {});
}

}  // namespace restream
