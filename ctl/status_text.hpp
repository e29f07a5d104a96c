// What a person asks first, in words and two tables. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

// `status` is the daemon's answer to the verb `status`.
std::string status_text(const nlohmann::json& status);
