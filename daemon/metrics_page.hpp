// What GET /metrics says: every room's numbers, written down in one place. Runs on: core.
#pragma once

#include <string>

#include "channel/hub.hpp"
#include "channel/store_thread.hpp"
#include "fetch/fetchers.hpp"
#include "http/http_client.hpp"
#include "model/clock.hpp"
#include "serve/server.hpp"

namespace restream {

struct MetricsSources {
  const Hub& hub;
  const StoreThread& store;
  const Fetchers& fetchers;
  const HttpClient& http;
  const Server& server;
  std::string version;
  std::size_t connections_limit = 0;
};

std::string metrics_page(const MetricsSources& sources);

}  // namespace restream
