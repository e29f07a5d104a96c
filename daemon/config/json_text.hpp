// The free-form part of the configuration, as JSON. This room's own.
#pragma once

#include <string>

#include "config/yaml_value.hpp"

namespace restream {

// One line of JSON for a mapping. Plain words mean what YAML 1.2's core schema says (numbers keep their digits, quoted
// ones stay text); anchors and aliases work within bounds; tags other than !!str, merge keys, repeated keys and values
// that JSON has no form for are refused, as are more than 32 levels or 10,000 values.
std::string json_object(const Value& value);

// The text of a plain or quoted word, for params: numbers and booleans as JSON writes them.
std::string param_text(const Value& value);

}  // namespace restream
