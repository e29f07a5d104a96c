// Reads and checks what a plugin's metadata() emitted. Pure.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "model/metadata.hpp"

namespace restream {

// The error is a sentence that names the field and what was expected.
std::expected<Metadata, std::string> parse_metadata(std::string_view json);

// Its `version` alone, where there is one: to name what is refused for something else.
std::string version_in(std::string_view json);

}  // namespace restream
