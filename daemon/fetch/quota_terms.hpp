// Which budget a fetcher counts against, and how its state is shown. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "fetch/quota_book.hpp"
#include "http/http_client.hpp"
#include "model/key_values.hpp"
#include "model/metadata.hpp"

namespace restream {

// The credential is the value of `quota.shared_key`; without one, the values of all keys that the fetcher declares; of
// a fetcher without keys, the place that its requests go to. `name` hashes it.
QuotaTerms quota_terms(const Metadata& metadata, const std::optional<QuotaLimit>& configured, const FetcherKeys& keys,
                       const HttpRules& rules, const std::function<std::string(const std::string&)>& name);

// {"calls", "per", "left", "renews"}, or null when no limit is known. JSON text.
std::string quota_json(const QuotaView& view);

}  // namespace restream
