// One WebSocket connection: its requests one after the other, its subscriptions, its end. Runs on: serve.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "channel/feed.hpp"
#include "serve/admission.hpp"
#include "serve/connection.hpp"
#include "serve/loop.hpp"
#include "serve/message.hpp"
#include "serve/session.hpp"
#include "serve/stream_request.hpp"
#include "serve/subscriptions.hpp"
#include "serve/ws_stream.hpp"

namespace restream {

class WsSession : public Session, public std::enable_shared_from_this<WsSession> {
 public:
  // Takes the connection over from HTTP.
  // `wanted`: channels that it is subscribed to before its first request is read.
  static void start(std::shared_ptr<Connection> connection, Admission admission, const Request& request,
                    StreamRequest wanted, std::string early);

  WsSession(std::shared_ptr<Connection> connection, Admission admission, std::string early, Framing framing,
            bool deflate, StreamRequest wanted);

  void tick(SteadyTime now) override;
  void go_away() override;
  void abort() override { connection_->abort(); }
  [[nodiscard]] bool lasting() const override { return true; }
  [[nodiscard]] bool leaving() const override { return connection_->ending(); }

 private:
  void next();
  void read();
  void on_read(const ErrorCode& error, WsStream::Message message);
  void on_closed();
  void heard(SteadyTime when);

  // Each handles one request and ends, now or later, in done() or fail().
  void handle(std::string_view text);
  void subscribe(ClientMessage message);
  void resolve(ClientMessage message, void (WsSession::*then)(const Feed::Resolved&));
  void subscribe_at_limit(const Feed::Resolved& resolved);
  void unsubscribe(const Feed::Resolved& resolved);
  void cannot_resolve(const ClientMessage& message, const FeedError& error);
  void leave(ChannelNumber channel, const std::string& label);
  void unsubscribe_all();
  bool on_attached(const std::expected<Attached, FeedError>& attached, const Delivery& delivery);
  void done();
  void fail(std::string_view code, std::string_view message);
  void tell(std::string_view type, std::string_view json, std::string_view label);
  void report(std::string_view code, std::string_view message);
  void acknowledge_again(const Subscription& subscription);
  [[nodiscard]] std::string too_many() const;

  void close(std::uint16_t code, std::string_view reason);

  std::shared_ptr<Connection> connection_;
  Admission admission_;
  std::unique_ptr<const StreamRequest> wanted_;  // null: there is none any more
  std::size_t asked_ = 0;                        // how many of the wanted channels
  const Framing framing_;
  WsStream stream_;
  std::shared_ptr<Subscriptions> subscriptions_;
  std::string request_;  // the one that is being handled, for error messages
  int faults_in_a_row_ = 0;
  SteadyTime heard_;  // when the client last gave a sign of life
  bool pinged_ = false;
  bool busy_ = false;  // with a request
  bool reading_ = false;
};

}  // namespace restream
