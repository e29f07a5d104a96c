// What a person asks first, in words and two tables. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

// `status` is the daemon's answer to the verb `status`; `command` is how this program was told whom to ask, for hints.
std::string status_text(const nlohmann::json& status, const std::string& command);
