#include "serve/ws_stream.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <utility>

namespace restream {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;

// What Beast takes for its socket.
class Layer {
 public:
  using executor_type = Socket::executor_type;

  Layer(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

  [[nodiscard]] executor_type get_executor() const noexcept { return connection_->socket().get_executor(); }
  [[nodiscard]] Connection& connection() const { return *connection_; }
  void set_early(std::string bytes) { early_ = std::move(bytes); }

  template <typename Buffers, typename Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler) {
    if (early_.empty()) return connection_->async_read_some(buffers, std::forward<Handler>(handler));
    const std::size_t size = asio::buffer_copy(buffers, asio::buffer(early_));
    early_.erase(0, size);
    asio::post(get_executor(), beast::bind_front_handler(std::forward<Handler>(handler), ErrorCode(), size));
  }

  // Completes when there is room for more: so a client that pings and does not read is no longer read from.
  template <typename Buffers, typename Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    auto bytes = std::make_shared<std::string>(asio::buffer_size(buffers), '\0');
    asio::buffer_copy(asio::buffer(*bytes), buffers);
    const std::size_t size = bytes->size();
    // Beast writes one whole frame at a time; after the handshake none begins like "HTTP".
    constexpr char close_frame = '\x88';
    if (bytes->front() == close_frame)
      connection_->send_last(std::move(bytes), true);
    else
      connection_->send(std::move(bytes));
    connection_->when_room([executor = get_executor(), handler = std::forward<Handler>(handler), size]() mutable {
      asio::post(executor, beast::bind_front_handler(std::move(handler), ErrorCode(), size));
    });
  }

 private:
  std::shared_ptr<Connection> connection_;
  std::string early_;
};

// Beast's last step after a close. The session knows better how to end the connection, and does so when the read that
// ran into the close completes.
template <typename Handler>
void async_teardown(beast::role_type, Layer& layer, Handler&& handler) {
  asio::post(layer.get_executor(), beast::bind_front_handler(std::forward<Handler>(handler), ErrorCode()));
}
[[maybe_unused]] void teardown(beast::role_type, Layer&, ErrorCode&) {}
[[maybe_unused]] void beast_close_socket(Layer& layer) { layer.connection().abort(); }

}  // namespace

struct WsStream::Impl {
  explicit Impl(std::shared_ptr<Connection> connection) : stream(std::move(connection)) {}

  websocket::stream<Layer, false> stream;
  beast::flat_buffer buffer;
};

WsStream::WsStream(std::shared_ptr<Connection> connection, std::size_t message_size)
    : impl_(std::make_unique<Impl>(std::move(connection))) {
  impl_->stream.read_message_max(message_size);
}

WsStream::~WsStream() = default;

void WsStream::accept(const Request& request, std::string early, const std::string& server, const std::string& protocol,
                      std::function<void(const ErrorCode&)> opened) {
  http::request<http::empty_body> message;
  message.method(http::verb::get);
  message.target(request.path);
  message.version(request.version);
  for (const auto& [name, value] : request.headers) message.insert(name, value);
  impl_->stream.next_layer().set_early(std::move(early));
  impl_->stream.set_option(websocket::stream_base::decorator([server, protocol](websocket::response_type& response) {
    response.set(http::field::server, server);
    if (!protocol.empty()) response.set(http::field::sec_websocket_protocol, protocol);
  }));
  impl_->stream.async_accept(message, [opened = std::move(opened)](const ErrorCode& error) { opened(error); });
}

void WsStream::read(std::function<void(const ErrorCode&, Message)> done) {
  impl_->buffer = beast::flat_buffer();  // most clients say little: their memory goes back
  impl_->stream.async_read(impl_->buffer, [this, done = std::move(done)](const ErrorCode& error, std::size_t size) {
    const auto* bytes = static_cast<const char*>(impl_->buffer.data().data());
    done(error,
         {.text = impl_->stream.got_text(), .bytes = error ? std::string_view() : std::string_view(bytes, size)});
  });
}

void WsStream::on_control(std::function<void()> call) {
  impl_->stream.control_callback([call = std::move(call)](websocket::frame_type, beast::string_view) { call(); });
}

}  // namespace restream
