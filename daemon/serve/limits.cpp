#include "serve/limits.hpp"

#include <utility>

namespace restream {

namespace {

// Connections that are being told 503. They live for seconds at most.
constexpr std::size_t refused_at_once = 256;

}  // namespace

ConnectionSlot::ConnectionSlot(std::shared_ptr<ConnectionLimits> limits, std::string address, Kind kind)
    : limits_(std::move(limits)), address_(std::move(address)), kind_(kind) {}

ConnectionSlot::ConnectionSlot(ConnectionSlot&& other) noexcept
    : limits_(std::move(other.limits_)),
      address_(std::move(other.address_)),
      kind_(std::exchange(other.kind_, Kind::none)) {}

ConnectionSlot::~ConnectionSlot() {
  if (kind_ != Kind::none) limits_->give_back(address_, kind_);
}

ConnectionSlot ConnectionLimits::take(const std::shared_ptr<ConnectionLimits>& limits, const std::string& address) {
  using Kind = ConnectionSlot::Kind;
  const std::scoped_lock lock(limits->mutex_);
  const auto of_address = limits->by_address_.find(address);
  const std::size_t count = of_address == limits->by_address_.end() ? 0 : of_address->second;
  if (limits->admitted_ < limits->total_ && count < limits->per_address_) {
    ++limits->admitted_;
    ++limits->by_address_[address];
    return {limits, address, Kind::admitted};
  }
  if (limits->refused_ >= refused_at_once) return {};
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
  const auto of_address = by_address_.find(address);
  if (--of_address->second == 0) by_address_.erase(of_address);
}

}  // namespace restream
