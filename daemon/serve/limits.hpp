// How many connections there are, in all and of each address. Shared by the listener, which counts, and the serve
// threads, which give places back; so it is locked, for a moment at the beginning and the end of a connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace restream {

class ConnectionLimits;

// A place among the connections; given back when it goes out of scope.
class ConnectionSlot {
 public:
  // `refused`: over a limit; the connection may only hear that it is.
  enum class Kind : std::uint8_t { none, admitted, refused };

  ConnectionSlot() = default;
  ConnectionSlot(std::shared_ptr<ConnectionLimits> limits, std::string address, Kind kind);
  ConnectionSlot(ConnectionSlot&& other) noexcept;
  ConnectionSlot& operator=(ConnectionSlot&& other) = delete;
  ~ConnectionSlot();

  [[nodiscard]] Kind kind() const { return kind_; }

 private:
  std::shared_ptr<ConnectionLimits> limits_;
  std::string address_;
  Kind kind_ = Kind::none;
};

class ConnectionLimits {
 public:
  ConnectionLimits(std::size_t total, std::size_t per_address) : total_(total), per_address_(per_address) {}

  // Kind::none: there are even too many that hear of being too many; close the socket.
  static ConnectionSlot take(const std::shared_ptr<ConnectionLimits>& limits, const std::string& address);

 private:
  friend class ConnectionSlot;
  void give_back(const std::string& address, ConnectionSlot::Kind kind);

  const std::size_t total_;
  const std::size_t per_address_;
  std::mutex mutex_;
  std::size_t admitted_ = 0;
  std::size_t refused_ = 0;
  std::unordered_map<std::string, std::size_t> by_address_;
};

}  // namespace restream
