#include "config/reload.hpp"

#include <utility>

namespace restream {

namespace {

// Calls `each(key, member of a, member of b)` for every key that only a restart applies.
template <typename A, typename B, typename Each>
void each_fixed_key(A& a, B& b, Each each) {
  each("listen.address", a.listen.address, b.listen.address);
  each("listen.port", a.listen.port, b.listen.port);
  each("listen.threads", a.listen.threads, b.listen.threads);
  each("plugins.directory", a.plugins.directory, b.plugins.directory);
  each("plugins.host", a.plugins.host, b.plugins.host);
  each("plugins.sandbox", a.plugins.sandbox, b.plugins.sandbox);
  each("plugins.memory", a.plugins.memory, b.plugins.memory);
  each("state.directory", a.state.directory, b.state.directory);
}

}  // namespace

std::vector<std::string> keys_for_restart(const Config& running, const Config& next) {
  std::vector<std::string> keys;
  each_fixed_key(running, next, [&keys](const char* key, const auto& a, const auto& b) {
    if (a != b) keys.emplace_back(key);
  });
  return keys;
}

Config without_restart(const Config& running, Config next) {
  each_fixed_key(running, next, [](const char*, const auto& a, auto& b) { b = a; });
  return next;
}

}  // namespace restream
