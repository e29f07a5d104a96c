#include "control/control_server.hpp"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

namespace restream {

namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using nlohmann::json;

constexpr std::size_t longest_request = 8192;
constexpr std::size_t most_unsent = std::size_t{1} << 20U;  // of a client that does not read; one message may be larger
constexpr std::chrono::seconds request_time{5};

}  // namespace

// One client. Lives as long as a read, a write or the holder of its ControlReply needs it.
class ControlConnection : public std::enable_shared_from_this<ControlConnection> {
 public:
  ControlConnection(Local::socket socket, ControlHandler& handler)
      : socket_(std::move(socket)), timer_(socket_.get_executor()), handler_(handler) {}

  void start();
  void send(const std::string& json);
  void on_gone(std::function<void()> gone) {
    if (closed_) return gone();  // it left before its answer began
    gone_ = std::move(gone);
  }
  // The answer is complete: what is unsent still goes out.
  void finish() {
    finished_ = true;
    gone_ = nullptr;
    write();
  }

 private:
  void request_came(const std::string& line);
  void watch_for_end();
  void write();
  void close();

  Local::socket socket_;
  asio::steady_timer timer_;
  ControlHandler& handler_;
  std::string input_;
  std::string unsent_;
  std::string writing_;
  std::function<void()> gone_;
  bool finished_ = false;
  bool closed_ = false;
};

void ControlConnection::start() {
  timer_.expires_after(request_time);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& stopped) {
    if (!stopped) self->close();
  });
  asio::async_read_until(socket_, asio::dynamic_buffer(input_, longest_request), '\n',
                         [self = shared_from_this()](const boost::system::error_code& failed, std::size_t size) {
                           self->timer_.cancel();
                           if (failed) return self->close();
                           self->request_came(self->input_.substr(0, size));
                         });
}

void ControlConnection::request_came(const std::string& line) {
  const auto reply = std::make_shared<ControlReply>(shared_from_this());
  watch_for_end();
  const json request = json::parse(line, nullptr, false);
  if (!request.is_object() || !request.contains("verb") || !request["verb"].is_string())
    return reply->refuse("a request is one JSON object with a verb");
  const auto name = request.find("name");
  handler_({.verb = request["verb"], .name = name != request.end() && name->is_string() ? std::string(*name) : ""},
           reply);
}

// Nothing more is expected of the client but its end.
void ControlConnection::watch_for_end() {
  input_.resize(1);
  socket_.async_read_some(asio::buffer(input_),
                          [self = shared_from_this()](const boost::system::error_code&, std::size_t) {
                            if (auto gone = std::exchange(self->gone_, nullptr)) gone();
                            self->close();
                          });
}

void ControlConnection::send(const std::string& text) {
  if (closed_) return;
  if (!unsent_.empty() && unsent_.size() + text.size() > most_unsent) {
    if (auto gone = std::exchange(gone_, nullptr)) gone();
    return close();
  }
  unsent_ += text + '\n';
  write();
}

void ControlConnection::write() {
  if (closed_ || !writing_.empty()) return;
  if (unsent_.empty()) {
    if (finished_) close();
    return;
  }
  writing_.swap(unsent_);
  asio::async_write(socket_, asio::buffer(writing_),
                    [self = shared_from_this()](const boost::system::error_code& failed, std::size_t) {
                      self->writing_.clear();
                      if (failed) return self->close();
                      self->write();
                    });
}

void ControlConnection::close() {
  if (std::exchange(closed_, true)) return;
  boost::system::error_code ignored;
  timer_.cancel();
  socket_.shutdown(Local::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

ControlReply::ControlReply(std::shared_ptr<ControlConnection> connection) : connection_(std::move(connection)) {}
ControlReply::~ControlReply() { connection_->finish(); }
void ControlReply::send(const std::string& text) { connection_->send(text); }
void ControlReply::on_gone(std::function<void()> gone) { connection_->on_gone(std::move(gone)); }
void ControlReply::done(const std::string& message) { tell(true, message); }
void ControlReply::refuse(const std::string& message) { tell(false, message); }
void ControlReply::tell(bool ok, const std::string& message) {
  // A message may name what was asked for, cut in the middle of a character.
  send(json{{"ok", ok}, {"message", message}}.dump(-1, ' ', false, json::error_handler_t::replace));
}

struct ControlServer::Impl : std::enable_shared_from_this<ControlServer::Impl> {
  Impl(asio::io_context& given_io, std::filesystem::path given_path, ControlHandler given_handler, Log given_log)
      : io(given_io), path(std::move(given_path)), handler(std::move(given_handler)), log(std::move(given_log)) {}

  void accept() {
    acceptor.async_accept([weak = weak_from_this()](const boost::system::error_code& failed, Local::socket socket) {
      const auto self = weak.lock();
      if (!self || failed == asio::error::operation_aborted) return;
      if (!failed) {
        std::make_shared<ControlConnection>(std::move(socket), self->handler)->start();
        return self->accept();
      }
      // Out of descriptors, most likely: again a little later, not at once and for ever.
      self->pause.expires_after(std::chrono::seconds(1));
      self->pause.async_wait([weak](const boost::system::error_code& stopped) {
        const auto still = weak.lock();
        if (still && !stopped) still->accept();
      });
    });
  }

  asio::io_context& io;
  std::filesystem::path path;
  ControlHandler handler;
  Log log;
  Local::acceptor acceptor{io};
  asio::steady_timer pause{io};
};

ControlServer::ControlServer(asio::io_context& io, std::filesystem::path path, ControlHandler handler, Log log)
    : impl_(std::make_shared<Impl>(io, std::move(path), std::move(handler), std::move(log))) {}

ControlServer::~ControlServer() {
  if (!impl_->acceptor.is_open()) return;
  boost::system::error_code ignored;
  impl_->acceptor.close(ignored);
  ::unlink(impl_->path.c_str());
}

std::expected<void, std::string> ControlServer::start() {
  boost::system::error_code failed;
  const std::string path = impl_->path.string();
  const auto complain = [&](const char* doing) {
    return std::unexpected("the control socket " + path + ": " + doing + ": " + failed.message());
  };
  sockaddr_un longest{};
  if (path.size() >= sizeof longest.sun_path) {
    impl_->log.warning("there is no control socket: its path would be too long for one", {{"path", path}});
    return {};
  }
  ::unlink(path.c_str());
  impl_->acceptor.open({}, failed);
  if (failed) return complain("cannot be made");
  // 0600 from the first moment on: bind() takes the mode from the umask.
  const mode_t before = ::umask(0177);
  impl_->acceptor.bind(Local::endpoint(path), failed);
  ::umask(before);
  if (failed) return complain("cannot be bound");
  impl_->acceptor.listen(16, failed);
  if (failed) return complain("cannot listen");
  impl_->accept();
  return {};
}

}  // namespace restream
