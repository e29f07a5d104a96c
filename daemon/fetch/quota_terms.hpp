// Which budget a fetcher counts against, what stands for its keys, and how a quota's state is shown. Pure.
#pragma once

#include <cstdint>
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

// What stands for the values of the keys that a fetcher declares and tells nothing of them. Never 0; always 1 where
// `name` is null.
std::uint64_t keys_mark(const Metadata& metadata, const FetcherKeys& keys,
                        const std::function<std::string(const std::string&)>& name);

// "no call of its quota (25 a day) is left before 2026-03-01T12:00:00.123Z"
std::string quota_spent_text(const QuotaView& view);

// {"calls", "per", "left", "renews"}, or null when no limit is known. JSON text.
std::string quota_json(const QuotaView& view);

}  // namespace restream
