// Other push servers, as Debian packages them, for the fan-out benchmark: started with a configuration of their own in
// a folder of their own, published to as their documentation says, ended with the object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "processes.hpp"

namespace bench {

class Peer {
 public:
  enum class Kind : std::uint8_t { nchan, pushpin };
  // Starts it and waits until it takes connections; throws where it is not installed.
  Peer(Kind kind, const std::filesystem::path& folder);
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  static bool installed(Kind kind);
  static std::string_view name(Kind kind) { return kind == Kind::nchan ? "nchan" : "pushpin"; }

  [[nodiscard]] std::uint16_t port() const { return port_; }                                // of its WebSockets
  static std::string_view path(Kind kind) { return kind == Kind::nchan ? "/sub" : "/ws"; }  // of the one channel
  void publish(const std::string& message);  // to all who are connected there
  [[nodiscard]] double cpu_seconds() const;  // of all its processes so far
  // What one message of that size takes on the wire.
  [[nodiscard]] static std::size_t framed(std::size_t message) { return message + (message < 126 ? 2 : 4); }

 private:
  void post(std::string_view path, const std::string& body);

  Kind kind_;
  std::uint16_t port_ = 0;
  std::uint16_t publish_port_ = 0;
  std::unique_ptr<Child> child_;
};

}  // namespace bench
