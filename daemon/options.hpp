// What each room is told of the configuration: pure.
#pragma once

#include <memory>
#include <string>

#include "channel/hub.hpp"
#include "config/config.hpp"
#include "http/cache.hpp"
#include "http/http_client.hpp"
#include "serve/server.hpp"

namespace restream {

HubLimits hub_limits(const Config& config);
HttpOptions http_options(const Config& config, std::shared_ptr<HttpCache> cache);
// Reads the process's limit of descriptors, too.
ServerOptions server_options(const Config& config, const std::string& version);

}  // namespace restream
