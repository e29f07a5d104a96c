// One connection while it speaks HTTP: request heads in, answers out, in order. Runs on: serve.
//
// Becomes a WebSocket or an event stream by handing its Connection to a WsSession or SseSession. A head has 5 s to
// arrive in, however slowly its bytes drip; a connection kept alive may rest 60 s before its next one.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "serve/admission.hpp"
#include "serve/answer.hpp"
#include "serve/connection.hpp"
#include "serve/loop.hpp"
#include "serve/session.hpp"

namespace restream {

class HttpSession : public Session, public std::enable_shared_from_this<HttpSession> {
 public:
  static void start(std::shared_ptr<Connection> connection);

  explicit HttpSession(std::shared_ptr<Connection> connection);

  void tick(SteadyTime now) override;
  void go_away() override;
  void abort() override { connection_->abort(); }
  [[nodiscard]] bool lasting() const override { return false; }
  [[nodiscard]] bool answering() const override { return answering_ || connection_->outbox().queued() > 0; }
  [[nodiscard]] bool leaving() const override { return connection_->ending(); }

 private:
  void next();
  void await_next();
  void skip_empty_lines();
  [[nodiscard]] bool begun() const;  // a byte of the next head has come
  void read();
  void on_bytes(const ErrorCode& error, std::string_view bytes);
  // Answers a fault in what was sent; what follows it can't be trusted.
  void refuse(int status, std::string_view message);
  void handle(const Request& request);
  void upgrade(const Request& request, Admission admission);
  void stream(const Request& request, Admission admission);
  void count_response(int status);
  void send(const Answer& answer);

  std::shared_ptr<Connection> connection_;
  std::string input_;       // what was read and not yet handled
  std::size_t looked_ = 0;  // input_ before this holds no end of a head
  SteadyTime deadline_;     // of the head that is being read
  bool first_ = true;       // no request yet
  bool resting_ = false;    // between two requests, of which the next has not begun
  bool reading_ = false;
  bool answering_ = false;
  // Of the request that is being answered:
  bool head_ = false;
  bool keep_alive_ = true;
  std::string origin_;
};

}  // namespace restream
