// One event stream (text/event-stream): its subscriptions, its heartbeat, its end. Runs on: serve.
//
// What it sends is made by Subscriptions, from blocks that all event streams of a channel share. The client has nothing
// to say after its request: what it sends is dropped, and its end of the connection is the end.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "channel/feed.hpp"
#include "serve/admission.hpp"
#include "serve/connection.hpp"
#include "serve/loop.hpp"
#include "serve/session.hpp"
#include "serve/stream_request.hpp"
#include "serve/subscriptions.hpp"

namespace restream {

class SseSession : public Session, public std::enable_shared_from_this<SseSession> {
 public:
  // Nothing: the stream has taken the connection over from HTTP. An error: it has not, and does not want it any more.
  using Decided = std::function<void(const std::optional<FeedError>&)>;

  // Attaches to all channels. The first that works opens the stream with `head`; those that are refused are told of in
  // the stream. If all are refused, the error of the first is the answer.
  static void start(std::shared_ptr<Connection> connection, Admission admission, StreamRequest request,
                    std::string head, Decided decided);

  SseSession(std::shared_ptr<Connection> connection, Admission admission, StreamRequest request, std::string head,
             Decided decided);

  void tick(SteadyTime now) override;
  void go_away() override;
  void abort() override { connection_->abort(); }
  [[nodiscard]] bool lasting() const override { return true; }
  [[nodiscard]] bool leaving() const override { return connection_->ending(); }

 private:
  using Reply = std::expected<Attached, FeedError>;
  void attach();
  void on_attached(std::size_t place, const Reply& attached);
  bool take(std::size_t place, const Attached& attached);
  void open();
  void tell(std::size_t place, const FeedError& error);
  void read();
  // The end of the stream: what is queued leaves, as far as the client takes it.
  void end(std::string_view why);
  void on_closed();

  std::shared_ptr<Connection> connection_;
  Admission admission_;
  StreamRequest request_;
  std::string head_;
  Decided decided_;
  std::shared_ptr<Subscriptions> subscriptions_;
  std::vector<std::pair<std::size_t, FeedError>> refused_;  // before the stream was open
  std::size_t pending_ = 0;
  bool open_ = false;
  SteadyTime beat_;  // when the next heartbeat is due
};

}  // namespace restream
