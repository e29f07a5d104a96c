// A version of a plugin introduces itself to a fetcher: what its metadata() came back with, checked. Pure.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "fetch/plugin.hpp"
#include "http/http_client.hpp"
#include "model/metadata.hpp"

namespace restream {

struct FetcherSettings;

struct Introduction {
  std::shared_ptr<const Metadata> metadata;
  std::shared_ptr<const HttpRules> rules;
};

struct NoIntroduction {
  bool lost = false;    // its host ended under way: the end of the host says more
  std::string reason;   // a sentence
  std::string version;  // as far as it told
};

std::expected<Introduction, NoIntroduction> read_introduction(const PluginReply& reply,
                                                              const FetcherSettings& settings);

}  // namespace restream
