// The operator's door: a socket in the state directory (0600) that restreamctl connects to. A connection is one
// request, one line of JSON, and its answer, one or more lines of JSON, after which the server closes it.
//
//   {"verb": "poll", "name": "nyt-top?section=home"}
//   {"ok": true, "message": "…"}                        or {"ok": false, "message": a sentence}
//
// Who may open the socket may do everything: it is protected by its mode and that of the state directory. Runs on:
// core. Owns its connections.
#pragma once

#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "ops/log.hpp"

namespace boost::asio {
class io_context;
}

namespace restream {

struct ControlRequest {
  std::string verb;
  std::string name;  // of a channel or fetcher; may be empty
};

// Where the answer goes. Keep it as long as there is something to say; the last one to let go closes the connection.
class ControlConnection;
class ControlReply {
 public:
  explicit ControlReply(std::shared_ptr<ControlConnection> connection);
  ~ControlReply();
  ControlReply(const ControlReply&) = delete;
  ControlReply& operator=(const ControlReply&) = delete;

  // One line of JSON, without its end.
  void send(const std::string& json);
  void done(const std::string& message);
  void refuse(const std::string& message);
  // Called once when the client has gone before the answer's end.
  void on_gone(std::function<void()> gone);

 private:
  void tell(bool ok, const std::string& message);
  std::shared_ptr<ControlConnection> connection_;
};

using ControlHandler = std::function<void(const ControlRequest&, std::shared_ptr<ControlReply>)>;

class ControlServer {
 public:
  ControlServer(boost::asio::io_context& io, std::filesystem::path path, ControlHandler handler, Log log);
  ~ControlServer();  // closes everything, removes the socket
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // The error is a sentence. A socket that a killed daemon left is replaced: the state directory is locked by us.
  std::expected<void, std::string> start();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace restream
