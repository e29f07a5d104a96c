// The file that auth.tokens names: a YAML list of tokens.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "model/token.hpp"

namespace restream {

// Refuses a file that others may read or change, too.
std::expected<std::vector<TokenEntry>, ConfigError> load_tokens(const std::filesystem::path& file);

// As above, from text; `file` is the name in errors.
std::expected<std::vector<TokenEntry>, ConfigError> parse_tokens(const std::string& yaml, const std::string& file);

}  // namespace restream
