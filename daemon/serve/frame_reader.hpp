// What a WebSocket client says, out of the bytes that come from it (RFC 6455). Pure: no socket, no clock.
//
// Between two messages it keeps a few bytes and no memory of its own: most clients say one thing and then listen.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/utf8_check.hpp"

namespace restream {

class FrameReader {
 public:
  // A longer message is a fault, told before its bytes are read. `deflate`: messages may be compressed, each one for
  // itself (permessage-deflate with client_no_context_takeover); the limit is for what they become, too.
  explicit FrameReader(std::size_t message_size, bool deflate = false)
      : message_size_(message_size), deflate_(deflate) {}

  enum class Kind : std::uint8_t { text, binary, ping, pong, close, fault };
  struct Event {
    Kind kind = Kind::fault;
    std::string_view bytes;  // the payload, or the reason of a close or a fault; until the next call
    std::uint16_t code = 0;  // of a close (0: it had none), or the one to answer a fault with
  };
  // Takes bytes from the front of `input` until something is said; none when it has taken all and wants more. After a
  // close or a fault there is nothing to read any more.
  std::optional<Event> next(std::string_view& input);
  // The bytes of the last event are not needed any more: a connection that waits holds none.
  void forget_told();

 private:
  enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
  [[nodiscard]] bool control() const { return opcode_ >= Opcode::close; }
  // These return the fault, if there is one.
  std::optional<Event> take_header(std::string_view& input);
  std::optional<Event> begin_frame();
  std::optional<Event> begin_payload();
  std::optional<Event> take_payload(std::string_view& input);
  std::optional<Event> end_frame();
  std::optional<Event> end_message();
  [[nodiscard]] Event close_event() const;

  const std::size_t message_size_;
  const bool deflate_;
  std::array<unsigned char, 14> header_{};
  std::uint8_t header_size_ = 0;    // bytes of it that have come
  std::uint8_t header_needed_ = 2;  // two tell how many there are
  bool in_payload_ = false;
  bool final_ = false;
  bool told_ = false;        // the message was told; its memory goes with the next call
  bool in_message_ = false;  // a data frame without the end of its message has come
  bool text_ = false;
  bool compressed_ = false;  // the message
  Opcode opcode_{};
  std::uint64_t left_ = 0;  // of the frame's payload
  std::uint8_t mask_at_ = 0;
  Utf8Check utf8_;
  std::string message_;
  std::string control_;
};

}  // namespace restream
