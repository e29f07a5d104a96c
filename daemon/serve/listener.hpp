// Accepts connections and deals them out to the serve threads in turn. Runs on: serve (the first thread).
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "serve/loop.hpp"

namespace restream {

class Listener {
 public:
  explicit Listener(std::vector<Loop*> loops);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Binds and listens. The error is a sentence. Before the threads run.
  std::expected<void, std::string> open(const ServerOptions& options);
  // Takes a socket that listens already.
  std::expected<void, std::string> adopt(int listening);
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Accepts from now on. Before the threads run.
  void start();
  // From any thread.
  void set_limits(std::size_t total, std::size_t per_address) { limits_->set(total, per_address); }
  // After the threads have ended.
  void close();

 private:
  std::expected<void, std::string> opened();
  void wait();
  void accept_all();
  void accepted(int descriptor, std::string address);
  void out_of_descriptors(int error);

  std::vector<Loop*> loops_;
  std::size_t turn_ = 0;
  std::shared_ptr<ConnectionLimits> limits_;
  asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type> acceptor_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      timer_;
  std::string address_;
  std::uint16_t port_ = 0;
  int spare_ = -1;  // a descriptor to fall back on when there are no others
  bool exhausted_ = false;
  bool v6_ = false;
};

}  // namespace restream
