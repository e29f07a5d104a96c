// Messages in the form of permessage-deflate (RFC 7692) without context takeover: each one stands alone, so one that
// was compressed for one subscriber is compressed for all. Pure; may be used on any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct z_stream_s;

namespace restream {

// Kept for a batch of messages: what it needs to work with is 256 KiB.
class Deflater {
 public:
  Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater();

  // Until the next call.
  std::string_view deflate(std::string_view message);

 private:
  std::unique_ptr<z_stream_s> stream_;
  std::string out_;
};

enum class InflateFault : std::uint8_t { too_long, damaged };

// The message, or why there is none. Takes no more memory than `limit` and some 50 KiB, whatever the bytes are.
struct Inflated {
  std::string message;
  std::optional<InflateFault> fault;
};
Inflated inflate_message(std::string_view deflated, std::size_t limit);

}  // namespace restream
