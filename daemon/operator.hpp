// What an operator may ask by way of restreamctl, and how the daemon does it: the verbs of the control socket. Runs on:
// core. Owns nothing but the tails under way.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "channel/hub.hpp"
#include "control/control_server.hpp"
#include "fetch/fetchers.hpp"
#include "model/clock.hpp"

namespace restream {

struct OperatorParts {
  Hub& hub;
  Fetchers& fetchers;
  Clock clock;
  std::string version;
  std::function<std::string()> address;       // "http://127.0.0.1:8080"
  std::function<std::string()> keys_command;  // "restream-keys", with the options that lead to the daemon's keystore
  // Reads everything anew. Gives a sentence, or what is wrong.
  std::function<std::expected<std::string, std::string>()> reload;
  // Copies the state; `done` is called on core, with a sentence or what is wrong.
  using Done = std::function<void(const std::expected<std::string, std::string>&)>;
  std::function<void(Done done)> backup;
};

class Operator {
 public:
  explicit Operator(OperatorParts parts);
  ~Operator();
  Operator(const Operator&) = delete;
  Operator& operator=(const Operator&) = delete;

  // Before anything is attached: how tails hear of events. `number` is the place that it is given among the threads.
  ServeThread entrance(ServeNumber number);

  void handle(const ControlRequest& request, const std::shared_ptr<ControlReply>& reply);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace restream
