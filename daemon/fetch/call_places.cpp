#include "fetch/call_places.hpp"

namespace restream {

namespace {

// Of calls with that trust or less.
constexpr std::array<std::size_t, 3> most_trusted{40, 80, CallPlaces::most};

}  // namespace

bool CallPlaces::has(Owner owner, CallTrust trust) const {
  std::size_t all = 0;
  std::size_t no_better = 0;
  for (std::size_t i = 0; i < trusted_.size(); ++i) {
    all += trusted_.at(i);
    if (i <= static_cast<std::size_t>(trust)) no_better += trusted_.at(i);
  }
  if (all >= most || no_better >= most_trusted.at(static_cast<std::size_t>(trust))) return false;
  const auto found = owner == nullptr ? owners_.end() : owners_.find(owner);
  return found == owners_.end() || found->second < most_of_one;
}

void CallPlaces::take(Owner owner, CallTrust trust) {
  ++trusted_.at(static_cast<std::size_t>(trust));
  if (owner != nullptr) ++owners_[owner];
}

void CallPlaces::give_back(Owner owner, CallTrust trust) {
  --trusted_.at(static_cast<std::size_t>(trust));
  if (const auto found = owners_.find(owner); found != owners_.end() && --found->second == 0) owners_.erase(found);
}

}  // namespace restream
