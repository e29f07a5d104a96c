#include "serve/limits.hpp"

#include <algorithm>
#include <utility>

namespace restream {

namespace {

// Connections that are being told 503. They live for seconds at most.
constexpr std::size_t refused_at_once = 256;
constexpr std::size_t refused_at_once_least = 8;

}  // namespace

ConnectionSlot::ConnectionSlot(std::shared_ptr<ConnectionLimits> limits, std::string address, Kind kind)
    : limits_(std::move(limits)), address_(std::move(address)), kind_(kind) {}

ConnectionSlot::ConnectionSlot(ConnectionSlot&& other) noexcept
    : limits_(std::move(other.limits_)),
      address_(std::move(other.address_)),
      kind_(std::exchange(other.kind_, Kind::none)),
      over_(other.over_) {}

ConnectionSlot::~ConnectionSlot() {
  if (kind_ != Kind::none) limits_->give_back(address_, kind_);
}

void ConnectionSlot::move_to(const std::string& address) {
  if (kind_ != Kind::admitted || (address == address_ && !over_)) return;
  const std::scoped_lock lock(limits_->mutex_);
  limits_->uncount(address_);
  over_ = !address.empty() && !limits_->count(address);
  address_ = over_ ? "" : address;
}

void ConnectionLimits::set(std::size_t total, std::size_t per_address) {
  const std::scoped_lock lock(mutex_);
  total_ = total;
  per_address_ = per_address;
}

ConnectionSlot ConnectionLimits::take(const std::shared_ptr<ConnectionLimits>& limits, const std::string& address,
                                      bool proxy) {
  using Kind = ConnectionSlot::Kind;
  const std::scoped_lock lock(limits->mutex_);
  if (limits->admitted_ < limits->total_ && (proxy || limits->count(address))) {
    ++limits->admitted_;
    return {limits, proxy ? "" : address, Kind::admitted};
  }
  // Few where there are few: they take descriptors, too.
  if (limits->refused_ >= std::clamp(limits->total_ / 8, refused_at_once_least, refused_at_once)) return {};
  ++limits->refused_;
  return {limits, address, Kind::refused};
}

void ConnectionLimits::give_back(const std::string& address, ConnectionSlot::Kind kind) {
  const std::scoped_lock lock(mutex_);
  if (kind == ConnectionSlot::Kind::refused) {
    --refused_;
    return;
  }
  --admitted_;
  uncount(address);
}

bool ConnectionLimits::count(const std::string& address) {
  std::size_t& of_address = by_address_[address];
  if (of_address >= per_address_) return false;
  ++of_address;
  return true;
}

void ConnectionLimits::uncount(const std::string& address) {
  const auto of_address = by_address_.find(address);
  if (of_address != by_address_.end() && --of_address->second == 0) by_address_.erase(of_address);
}

}  // namespace restream
