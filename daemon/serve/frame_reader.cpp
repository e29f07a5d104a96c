#include "serve/frame_reader.hpp"

#include <algorithm>
#include <utility>

#include "channel/deflate.hpp"
#include "serve/close_frame.hpp"

namespace restream {

namespace {

constexpr std::size_t control_limit = 125;
constexpr std::size_t mask_size = 4;
constexpr unsigned compressed_bit = 0x40;  // RSV1, on the first frame of a message

FrameReader::Event fault(std::uint16_t code, std::string_view reason) {
  return {.kind = FrameReader::Kind::fault, .bytes = reason, .code = code};
}

// Those that a peer may send: RFC 6455 section 7.4, and IANA's registry.
bool may_be_sent(unsigned code) {
  const bool reserved = code == 1004 || code == 1005 || code == 1006;
  return (code >= 1000 && code <= 1014 && !reserved) || (code >= 3000 && code <= 4999);
}

}  // namespace

void FrameReader::forget_told() {
  if (!std::exchange(told_, false)) return;
  std::string().swap(control() ? control_ : message_);
}

std::optional<FrameReader::Event> FrameReader::next(std::string_view& input) {
  forget_told();
  for (;;) {
    if (!in_payload_) {
      if (auto broken = take_header(input)) return broken;
      if (!in_payload_) return std::nullopt;
    }
    if (auto broken = take_payload(input)) return broken;
    if (left_ > 0) return std::nullopt;
    in_payload_ = false;
    header_size_ = 0;
    header_needed_ = 2;
    if (auto said = end_frame()) return said;
  }
}

std::optional<FrameReader::Event> FrameReader::take_header(std::string_view& input) {
  while (!input.empty()) {
    header_.at(header_size_++) = static_cast<unsigned char>(input.front());
    input.remove_prefix(1);
    if (header_size_ < header_needed_) continue;
    if (header_size_ > 2) return begin_payload();
    if (auto broken = begin_frame()) return broken;
  }
  return std::nullopt;
}

// With its first two bytes.
std::optional<FrameReader::Event> FrameReader::begin_frame() {
  constexpr unsigned final_bit = 0x80;
  constexpr unsigned reserved_bits = 0x70;
  constexpr unsigned mask_bit = 0x80;
  const unsigned length = header_[1] & 0x7fU;
  final_ = (header_[0] & final_bit) != 0;
  opcode_ = static_cast<Opcode>(header_[0] & 0x0fU);
  const bool known = opcode_ <= Opcode::binary || (control() && opcode_ <= Opcode::pong);
  if (!known) return fault(close_protocol_error, "unknown opcode");
  const bool begins_message = opcode_ == Opcode::text || opcode_ == Opcode::binary;
  const unsigned usable = deflate_ && begins_message ? compressed_bit : 0;
  if ((header_[0] & reserved_bits & ~usable) != 0) return fault(close_protocol_error, "reserved bits are set");
  if ((header_[1] & mask_bit) == 0) return fault(close_protocol_error, "frames of a client must be masked");
  if (control() && !final_) return fault(close_protocol_error, "control frames cannot be fragmented");
  if (control() && length > control_limit) return fault(close_protocol_error, "control frame of more than 125 bytes");
  if (opcode_ == Opcode::continuation && !in_message_) return fault(close_protocol_error, "continuation of nothing");
  if (!control() && opcode_ != Opcode::continuation && in_message_)
    return fault(close_protocol_error, "a message begins within another one");
  const std::size_t extended = length == 127 ? 8 : length == 126 ? 2 : 0;
  header_needed_ = static_cast<std::uint8_t>(2 + extended + mask_size);
  return std::nullopt;
}

// With the whole header.
std::optional<FrameReader::Event> FrameReader::begin_payload() {
  left_ = header_[1] & 0x7fU;
  const std::size_t extended = header_needed_ - 2 - mask_size;
  if (extended > 0) {
    left_ = 0;
    for (std::size_t i = 0; i < extended; ++i) left_ = left_ << 8U | header_.at(2 + i);
    // The shortest form is the only one.
    if (left_ < 126 || (extended == 8 && left_ < 0x10000)) return fault(close_protocol_error, "bad length");
  }
  if (!control() && left_ > message_size_ - std::min(message_.size(), message_size_))
    return fault(close_too_big, "message too long");
  in_payload_ = true;
  mask_at_ = 0;
  if (control() || opcode_ == Opcode::continuation) return std::nullopt;
  in_message_ = true;
  text_ = opcode_ == Opcode::text;
  compressed_ = (header_[0] & compressed_bit) != 0;
  utf8_ = {};
  return std::nullopt;
}

std::optional<FrameReader::Event> FrameReader::take_payload(std::string_view& input) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
  std::string& into = control() ? control_ : message_;
  const std::size_t begin = into.size();
  into.append(input.substr(0, size));
  input.remove_prefix(size);
  left_ -= size;
  const unsigned char* mask = header_.data() + header_needed_ - mask_size;
  for (std::size_t i = 0; i < size; ++i)
    into[begin + i] = static_cast<char>(static_cast<unsigned char>(into[begin + i]) ^ mask[(mask_at_ + i) % mask_size]);
  mask_at_ = static_cast<std::uint8_t>((mask_at_ + size) % mask_size);
  if (!control() && text_ && !compressed_ && !utf8_.add(std::string_view(into).substr(begin)))
    return fault(close_bad_text, "text that is not UTF-8");
  return std::nullopt;
}

std::optional<FrameReader::Event> FrameReader::end_frame() {
  told_ = control() || final_;
  if (opcode_ == Opcode::close) return close_event();
  if (control()) return Event{.kind = opcode_ == Opcode::ping ? Kind::ping : Kind::pong, .bytes = control_};
  if (!final_) return std::nullopt;
  in_message_ = false;
  return end_message();
}

std::optional<FrameReader::Event> FrameReader::end_message() {
  if (compressed_) {
    Inflated inflated = inflate_message(message_, message_size_);
    if (inflated.fault == InflateFault::too_long) return fault(close_too_big, "message too long");
    if (inflated.fault) return fault(close_bad_text, "a compressed message that cannot be read");
    message_ = std::move(inflated.message);
    if (text_ && !utf8_.add(message_)) return fault(close_bad_text, "text that is not UTF-8");
  }
  if (text_ && !utf8_.whole()) return fault(close_bad_text, "text that ends within a character");
  return Event{.kind = text_ ? Kind::text : Kind::binary, .bytes = message_};
}

FrameReader::Event FrameReader::close_event() const {
  constexpr std::size_t code_size = 2;
  if (control_.empty()) return {.kind = Kind::close};
  if (control_.size() < code_size) return fault(close_protocol_error, "half a close code");
  const auto byte = [this](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(control_[at])); };
  const unsigned code = byte(0) << 8U | byte(1);
  if (!may_be_sent(code)) return fault(close_protocol_error, "a close code that nobody may send");
  const std::string_view reason = std::string_view(control_).substr(code_size);
  Utf8Check utf8;
  if (!utf8.add(reason) || !utf8.whole()) return fault(close_bad_text, "a close reason that is not UTF-8");
  return {.kind = Kind::close, .bytes = reason, .code = static_cast<std::uint16_t>(code)};
}

}  // namespace restream
