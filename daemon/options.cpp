#include "options.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "descriptors.hpp"

namespace restream {

HubLimits hub_limits(const Config& config) {
  return {.channels = config.limits.channels,
          .channels_per_address = config.limits.channels_per_address,
          .forget = config.state.forget};
}

HttpOptions http_options(const Config& config, std::shared_ptr<HttpCache> cache) {
  return {.proxy = config.http.proxy.value_or(""),
          .ca_file = config.http.ca_file.value_or("").string(),
          .user_agent = config.http.user_agent,
          .requests_per_origin = config.http.requests_per_origin,
          .body = config.http.body,
          .cache = std::move(cache)};
}

ServerOptions server_options(const Config& config, const std::string& version) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  ServerOptions options;
  options.address = config.listen.address;
  options.port = config.listen.port;
  options.threads = config.listen.threads == 0 ? cores : config.listen.threads;
  options.origins = config.listen.origins;
  options.trusted_proxies = config.listen.trusted_proxies;
  options.compression = config.listen.compression;
  options.connections = std::min(config.limits.connections, descriptors_for_clients());
  options.connections_per_address = config.limits.connections_per_address;
  options.subscriptions_per_connection = config.limits.subscriptions_per_connection;
  options.message_size = config.limits.message_size;
  options.send_queue = config.limits.send_queue;
  options.version = version;
  return options;
}

}  // namespace restream
