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
  [[nodiscard]] bool refused() const { return kind_ == Kind::refused || over_; }
  // From now on the connection is one of this address, if that may have one more; else it is refused, until it is moved
  // again. For connections of proxies, which bring requests of many; an empty address is nobody's.
  void move_to(const std::string& address);

 private:
  std::shared_ptr<ConnectionLimits> limits_;
  std::string address_;  // of whom it is counted; empty: of nobody
  Kind kind_ = Kind::none;
  bool over_ = false;
};

class ConnectionLimits {
 public:
  ConnectionLimits(std::size_t total, std::size_t per_address) : total_(total), per_address_(per_address) {}

  // Those who have a place keep it.
  void set(std::size_t total, std::size_t per_address);

  // Kind::none: there are even too many that hear of being too many; close the socket.
  // A proxy's connection is counted of nobody until it is moved to a client's address.
  static ConnectionSlot take(const std::shared_ptr<ConnectionLimits>& limits, const std::string& address, bool proxy);

 private:
  friend class ConnectionSlot;
  void give_back(const std::string& address, ConnectionSlot::Kind kind);
  // With the mutex held.
  bool count(const std::string& address);
  void uncount(const std::string& address);

  std::mutex mutex_;
  std::size_t total_;        // GUARDED_BY mutex_
  std::size_t per_address_;  // GUARDED_BY mutex_
  std::size_t admitted_ = 0;
  std::size_t refused_ = 0;
  std::unordered_map<std::string, std::size_t> by_address_;
};

}  // namespace restream
