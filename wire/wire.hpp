// The framing between the daemon and a fetcher host: bytes in, frames out, and back. Pure; runs on: any thread.
//
// Both ends come from one build, so the format has no version of its own; the plugin's is in `Ready`.
// It goes over a SOCK_STREAM socketpair. A frame is
//
//   u32 length   of everything after it, 9 to max_frame; to the daemon, to max_frame_of_host
//   u8  type     the message's index in `Message` below, plus one
//   u64 call     the call it belongs to; 0 for Start, Ready and Refused
//   …   fields   in the order of the message's `fields()`, nothing after them
//
// Numbers are little-endian. A text is its u32 length and its bytes; a list of headers is its u32 count, then name and
// value of each.
//
//   daemon -> host:  Start, then Call (any number at a time), HttpResponse, Cancel
//   host -> daemon:  Ready or Refused once, then HttpRequest, Log, and one Result for each Call
//
// The daemon trusts none of what it decodes: a host runs a plugin's code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace restream::wire {

inline constexpr std::size_t max_frame = 64U << 20U;
inline constexpr std::size_t max_headers = 4096;  // in one message: they take more room decoded than encoded

// What a host may send (docs/contract.md). It keeps its plugin to that, and the daemon keeps the host to it: a plugin
// may have taken its host over.
inline constexpr std::size_t max_output = 24U << 20U;         // of a Result
inline constexpr std::size_t max_request = 16U << 20U;        // URL, headers and body of an HttpRequest
inline constexpr std::size_t max_log_line = 4096;             // of a Log
inline constexpr std::size_t max_frame_of_host = 25U << 20U;  // holds the largest of them, a Result

using Headers = std::vector<std::pair<std::string, std::string>>;

enum class Function : std::uint8_t { metadata = 1, fetch = 2 };

// How much of its sandbox a host must have to run at all.
enum class Sandbox : std::uint8_t { required = 1, best_effort = 2, off = 3 };

// What to load. The first frame of all.
struct Start {
  std::string name;          // of the plugin, for messages
  std::string plugin;        // absolute path of the library
  std::uint64_t memory = 0;  // bytes of data the host may have
  Sandbox sandbox = Sandbox::required;
  static auto fields(auto& self) { return std::tie(self.name, self.plugin, self.memory, self.sandbox); }
  bool operator==(const Start&) const = default;
};

// Call a function of the plugin.
struct Call {
  Function function = Function::fetch;
  std::int64_t deadline_ns = 0;  // CLOCK_MONOTONIC
  std::string request;           // JSON text
  static auto fields(auto& self) { return std::tie(self.function, self.deadline_ns, self.request); }
  bool operator==(const Call&) const = default;
};

// The answer to the call's HttpRequest of the same number.
struct HttpResponse {
  std::uint32_t number = 0;
  std::int32_t code = 0;  // RESTREAM_OK … of restream/fetcher.h
  std::int32_t status = 0;
  Headers headers;
  std::string body;
  std::string error;
  static auto fields(auto& self) {
    return std::tie(self.number, self.code, self.status, self.headers, self.body, self.error);
  }
  bool operator==(const HttpResponse&) const = default;
};

// Nobody waits for the call any more.
struct Cancel {
  static auto fields(auto&) { return std::tie(); }
  bool operator==(const Cancel&) const = default;
};

// The plugin is loaded and its descriptor fits.
struct Ready {
  std::uint16_t abi_major = 0;
  std::uint16_t abi_minor = 0;
  std::string sdk_version;
  static auto fields(auto& self) { return std::tie(self.abi_major, self.abi_minor, self.sdk_version); }
  bool operator==(const Ready&) const = default;
};

// It cannot be loaded and never will be: a sentence. The host ends.
struct Refused {
  std::string reason;
  static auto fields(auto& self) { return std::tie(self.reason); }
  bool operator==(const Refused&) const = default;
};

// The function came back.
struct Result {
  std::int32_t code = 0;
  std::string output;
  static auto fields(auto& self) { return std::tie(self.code, self.output); }
  bool operator==(const Result&) const = default;
};

// The plugin asks for HTTP. A call has one request under way at a time; `number` counts them.
struct HttpRequest {
  std::uint32_t number = 0;
  std::string method;
  std::string url;
  Headers headers;
  std::string body;
  static auto fields(auto& self) { return std::tie(self.number, self.method, self.url, self.headers, self.body); }
  bool operator==(const HttpRequest&) const = default;
};

struct Log {
  std::uint8_t level = 0;  // RESTREAM_DEBUG … RESTREAM_ERROR
  std::string line;
  static auto fields(auto& self) { return std::tie(self.level, self.line); }
  bool operator==(const Log&) const = default;
};

using Message = std::variant<Start, Call, HttpResponse, Cancel, Ready, Refused, Result, HttpRequest, Log>;

struct Frame {
  std::uint64_t call = 0;
  Message message;
  bool operator==(const Frame&) const = default;
};

// How many bytes encode() would make of it, above max_frame when it cannot.
std::size_t encoded_size(const Message& message);

// What of a host's message is more than it may send: "a result of more than 24 MiB". Empty: nothing.
std::string excess_of(const Message& message);

// The frame's bytes. Throws std::length_error when they would pass max_frame; ask encoded_size() where that may be.
std::string encode(std::uint64_t call, const Message& message);

// Takes bytes as they come and gives the frames in them. Take every frame before the next feed(), so that it holds at
// most one frame and one feed.
class Decoder {
 public:
  // A frame of more bytes is a fault.
  explicit Decoder(std::size_t most = max_frame) : most_(most) {}

  void feed(std::string_view bytes);

  // The next frame; nothing when more bytes are needed; or what is wrong with the stream, from then on forever.
  std::expected<std::optional<Frame>, std::string> next();

 private:
  std::size_t most_;
  std::string buffer_;
  std::size_t at_ = 0;  // bytes of buffer_ that are done with
  std::string fault_;
};

}  // namespace restream::wire
