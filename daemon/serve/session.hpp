// What a serve thread knows of a session. Runs on: serve.
#pragma once

#include "model/clock.hpp"

namespace restream {

class Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session() = default;

  // Once a second: deadlines, stalls, keep-alive.
  virtual void tick(SteadyTime now) = 0;
  // The server is going away: says goodbye, where the protocol has a word for it.
  virtual void go_away() = 0;
  // Closes the socket now.
  virtual void abort() = 0;
  // True for a session that lasts (WebSocket, event stream) and is told to go when its turn comes; an HTTP session is
  // told at once.
  [[nodiscard]] virtual bool lasting() const = 0;
  [[nodiscard]] virtual bool leaving() const = 0;
  // An HTTP session with an answer that has not left yet: the server waits for it, but not for long.
  [[nodiscard]] virtual bool answering() const { return false; }
};

}  // namespace restream
