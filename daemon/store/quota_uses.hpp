// The uses of a quota's windows as text: "60000:3@1800000000000,1@1800000000500;86400000:…". Pure; this room's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/quota.hpp"

namespace restream {

std::string pack_uses(const std::vector<QuotaWindow>& windows);
// Throws StoreError.
std::vector<QuotaWindow> unpack_uses(std::string_view text);

}  // namespace restream
