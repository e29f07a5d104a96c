// One kept answer as the bytes of its file. Pure; this room's own.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/cache.hpp"

namespace restream {

std::string cache_file_bytes(const std::string& name, const CachedAnswer& answer, const KeyedHash& hash);

// Nothing unless they are, to the last byte, what was written under that name with that key.
std::optional<CachedAnswer> read_cache_file(const std::string& name, std::string_view bytes, const KeyedHash& hash);

}  // namespace restream
