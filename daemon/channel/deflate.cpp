#include "channel/deflate.hpp"

#include <zlib.h>

#include <array>
#include <new>
#include <stdexcept>

namespace restream {

namespace {

constexpr int raw_window = -15;  // no zlib header; the largest window, which every client can take
constexpr int memory_level = 8;

// What a sync flush ends with; the sender leaves it away and the reader puts it back.
constexpr std::string_view flush_end("\x00\x00\xff\xff", 4);

// zlib's type for input is not const, but it only reads.
unsigned char* input_of(std::string_view bytes) {
  return reinterpret_cast<unsigned char*>(
      const_cast<char*>(bytes.data()));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

}  // namespace

Deflater::Deflater() : stream_(std::make_unique<z_stream>()) {
  if (deflateInit2(stream_.get(), Z_DEFAULT_COMPRESSION, Z_DEFLATED, raw_window, memory_level, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    throw std::bad_alloc();
}

Deflater::~Deflater() { deflateEnd(stream_.get()); }

std::string_view Deflater::deflate(std::string_view message) {
  deflateReset(stream_.get());
  constexpr std::size_t flush_room = 16;
  out_.resize(deflateBound(stream_.get(), message.size()) + flush_room);
  stream_->next_in = input_of(message);
  stream_->avail_in = static_cast<unsigned>(message.size());
  stream_->next_out = reinterpret_cast<unsigned char*>(out_.data());
  stream_->avail_out = static_cast<unsigned>(out_.size());
  if (::deflate(stream_.get(), Z_SYNC_FLUSH) != Z_OK || stream_->avail_in > 0 || stream_->avail_out == 0)
    throw std::logic_error("zlib needs more room than it said it would");
  const std::string_view whole(out_.data(), out_.size() - stream_->avail_out);
  return whole.substr(0, whole.size() - flush_end.size());
}

Inflated inflate_message(std::string_view deflated, std::size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, raw_window) != Z_OK) throw std::bad_alloc();
  const auto end = std::unique_ptr<z_stream, int (*)(z_stream*)>(&stream, inflateEnd);
  Inflated result;
  std::array<char, 4096> piece{};
  for (const std::string_view part : {deflated, flush_end}) {
    stream.next_in = input_of(part);
    stream.avail_in = static_cast<unsigned>(part.size());
    for (;;) {
      stream.next_out = reinterpret_cast<unsigned char*>(piece.data());
      stream.avail_out = piece.size();
      const int code = inflate(&stream, Z_SYNC_FLUSH);
      const std::size_t size = piece.size() - stream.avail_out;
      if (size > limit - result.message.size()) return {.message = {}, .fault = InflateFault::too_long};
      result.message.append(piece.data(), size);
      // A sender may end the last block; what follows it, our own end too, means nothing then.
      if (code == Z_STREAM_END) return result;
      if (code != Z_OK && code != Z_BUF_ERROR) return {.message = {}, .fault = InflateFault::damaged};
      if (stream.avail_out > 0) break;
    }
  }
  return result;
}

}  // namespace restream
