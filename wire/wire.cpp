#include "wire/wire.hpp"

#include <array>
#include <concepts>
#include <stdexcept>
#include <type_traits>

namespace restream::wire {
namespace {

constexpr std::size_t length_size = 4;
constexpr std::size_t head_size = 1 + 8;          // type and call
constexpr std::size_t keep_capacity = 1U << 20U;  // a decoder gives memory beyond this back

// --- sizes

std::size_t size_of(std::integral auto value) { return sizeof value; }
std::size_t size_of(Function) { return 1; }
std::size_t size_of(Sandbox) { return 1; }
std::size_t size_of(const std::string& text) { return length_size + text.size(); }
std::size_t size_of(const Headers& headers) {
  std::size_t size = length_size;
  for (const auto& [name, value] : headers) size += size_of(name) + size_of(value);
  return size;
}

// --- writing

void put(std::string& out, std::integral auto value) {
  const auto bits = static_cast<std::uint64_t>(value);
  for (std::size_t i = 0; i < sizeof value; ++i) out += static_cast<char>((bits >> (8 * i)) & 0xFFU);
}
void put(std::string& out, Function function) { put(out, static_cast<std::uint8_t>(function)); }
void put(std::string& out, Sandbox sandbox) { put(out, static_cast<std::uint8_t>(sandbox)); }
void put(std::string& out, const std::string& text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}
void put(std::string& out, const Headers& headers) {
  put(out, static_cast<std::uint32_t>(headers.size()));
  for (const auto& [name, value] : headers) {
    put(out, name);
    put(out, value);
  }
}

// --- reading: what is left of a frame. After the first thing that does not fit, nothing fits.

class Fields {
 public:
  explicit Fields(std::string_view rest) : rest_(rest) {}

  template <std::integral Number>
  void get(Number& value) {
    if (!has(sizeof value)) return;
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < sizeof value; ++i)
      bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
    value = static_cast<Number>(bits);
    rest_.remove_prefix(sizeof value);
  }
  void get(Function& function) {
    std::uint8_t number = 0;
    get(number);
    fits_ = fits_ && number >= 1 && number <= 2;
    if (fits_) function = static_cast<Function>(number);
  }
  void get(Sandbox& sandbox) {
    std::uint8_t number = 0;
    get(number);
    fits_ = fits_ && number >= 1 && number <= 3;
    if (fits_) sandbox = static_cast<Sandbox>(number);
  }
  void get(std::string& text) {
    std::uint32_t size = 0;
    get(size);
    if (!has(size)) return;
    text.assign(rest_.substr(0, size));
    rest_.remove_prefix(size);
  }
  void get(Headers& headers) {
    std::uint32_t count = 0;
    get(count);
    // Each takes at least its two lengths: a count cannot make us allocate more than the frame has room for.
    fits_ = fits_ && count <= max_headers;
    if (!has(std::size_t{count} * 2 * length_size)) return;
    headers.resize(count);
    for (auto& [name, value] : headers) {
      get(name);
      get(value);
    }
  }

  [[nodiscard]] bool all_read() const { return fits_ && rest_.empty(); }

 private:
  bool has(std::size_t size) {
    fits_ = fits_ && size <= rest_.size();
    return fits_;
  }

  std::string_view rest_;
  bool fits_ = true;
};

template <class Type>
std::optional<Message> read_message(std::string_view bytes) {
  Type message;
  Fields in(bytes);
  std::apply([&in](auto&... field) { (in.get(field), ...); }, Type::fields(message));
  if (!in.all_read()) return std::nullopt;
  return message;
}

using Reader = std::optional<Message> (*)(std::string_view);

// One reader for each alternative of Message, in its order.
template <std::size_t... Index>
constexpr auto make_readers(std::index_sequence<Index...>) {
  return std::array<Reader, sizeof...(Index)>{&read_message<std::variant_alternative_t<Index, Message>>...};
}
constexpr auto readers = make_readers(std::make_index_sequence<std::variant_size_v<Message>>{});

}  // namespace

std::size_t encoded_size(const Message& message) {
  return std::visit(
      [](const auto& fields) {
        return std::apply([](const auto&... field) { return ((length_size + head_size) + ... + size_of(field)); },
                          std::remove_cvref_t<decltype(fields)>::fields(fields));
      },
      message);
}

std::string excess_of(const Message& message) {
  if (const auto* result = std::get_if<Result>(&message); result != nullptr && result->output.size() > max_output)
    return "a result of more than 24 MiB";
  if (const auto* log = std::get_if<Log>(&message); log != nullptr && log->line.size() > max_log_line)
    return "a log line of more than 4 KiB";
  if (const auto* request = std::get_if<HttpRequest>(&message)) {
    std::size_t size = request->url.size() + request->body.size();
    for (const auto& [name, value] : request->headers) size += name.size() + value.size();
    if (size > max_request) return "an HTTP request of more than 16 MiB";
  }
  return {};
}

std::string encode(std::uint64_t call, const Message& message) {
  const std::size_t size = encoded_size(message);
  if (size - length_size > max_frame) throw std::length_error("a frame of more than 64 MiB between daemon and host");
  std::string out;
  out.reserve(size);
  put(out, static_cast<std::uint32_t>(size - length_size));
  put(out, static_cast<std::uint8_t>(message.index() + 1));
  put(out, call);
  std::visit(
      [&out](const auto& fields) {
        std::apply([&out](const auto&... field) { (put(out, field), ...); },
                   std::remove_cvref_t<decltype(fields)>::fields(fields));
      },
      message);
  return out;
}

void Decoder::feed(std::string_view bytes) {
  if (!fault_.empty()) return;
  if (at_ > 0) {
    buffer_.erase(0, at_);
    at_ = 0;
    if (buffer_.empty() && buffer_.capacity() > keep_capacity) buffer_ = std::string();
  }
  buffer_ += bytes;
}

std::expected<std::optional<Frame>, std::string> Decoder::next() {
  const auto fault = [this](std::string text) {
    fault_ = std::move(text);
    buffer_ = std::string();
    at_ = 0;
    return std::unexpected(fault_);
  };
  if (!fault_.empty()) return std::unexpected(fault_);

  const std::string_view rest = std::string_view(buffer_).substr(at_);
  if (rest.size() < length_size) return std::nullopt;
  std::uint32_t length = 0;
  Fields(rest.substr(0, length_size)).get(length);
  if (length < head_size || length > most_) return fault("a frame of " + std::to_string(length) + " bytes");
  if (rest.size() - length_size < length) return std::nullopt;

  Frame frame;
  std::uint8_t type = 0;
  Fields head(rest.substr(length_size, head_size));
  head.get(type);
  head.get(frame.call);
  if (type < 1 || type > readers.size()) return fault("a frame of unknown type " + std::to_string(type));
  auto message = readers[type - 1U](rest.substr(length_size + head_size, length - head_size));
  if (!message) return fault("a frame of type " + std::to_string(type) + " whose fields do not fit its length");
  frame.message = std::move(*message);
  at_ += length_size + length;
  return frame;
}

}  // namespace restream::wire
