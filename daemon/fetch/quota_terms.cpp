#include "fetch/quota_terms.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace restream {

namespace {

std::string per_text(Millis per) {
  if (per == Seconds(1)) return "second";
  if (per == Seconds(60)) return "minute";
  return per == Seconds(3600) ? "hour" : "day";
}

// Sizes in front, so that no two lists of values are one text.
void add(std::string& out, const std::string& value) { ((out += std::to_string(value.size())) += ' ') += value; }

// `use` gets `begin` and has room for all key values behind it: it must not grow with a key in it. Wiped afterwards.
template <typename Use>
std::string with_room(const FetcherKeys& keys, std::string_view begin, Use use) {
  std::size_t size = begin.size();
  for (const auto& [key, value] : keys) size += value.text().size() + 21;
  std::string secret;
  secret.reserve(size);
  secret = begin;
  std::string result = use(secret);
  wipe(secret);
  return result;
}

void add_declared(std::string& out, const Metadata& metadata, const FetcherKeys& keys) {
  for (const std::string& key : metadata.keys)
    if (const auto found = keys.find(key); found != keys.end()) add(out, found->second.text());
}

}  // namespace

QuotaTerms quota_terms(const Metadata& metadata, const std::optional<QuotaLimit>& configured, const FetcherKeys& keys,
                       const HttpRules& rules, const std::function<std::string(const std::string&)>& name) {
  QuotaTerms terms;
  terms.limit = configured;
  if (!terms.limit && metadata.quota) terms.limit = QuotaLimit{metadata.quota->calls, metadata.quota->per};
  const auto shared = metadata.quota ? keys.find(metadata.quota->shared_key) : keys.end();
  terms.credential = with_room(keys, "quota of ", [&](std::string& secret) {
    if (shared != keys.end()) {
      add(secret, shared->second.text());
    } else if (!metadata.keys.empty()) {
      add_declared(secret, metadata, keys);
    } else {
      // Without a credential an API counts by address, which is one for all of us.
      secret += "everybody at " + (rules.connect_to.empty() ? rules.origins.front() : rules.connect_to);
      terms.whole_credential = terms.limit.has_value();
    }
    return name(secret);
  });
  return terms;
}

std::uint64_t keys_mark(const Metadata& metadata, const FetcherKeys& keys,
                        const std::function<std::string(const std::string&)>& name) {
  if (!name) return 1;
  const std::string hash = with_room(keys, "keys that ", [&](std::string& secret) {
    add_declared(secret, metadata, keys);
    return name(secret);
  });
  std::uint64_t mark = 0;
  std::from_chars(hash.data(), hash.data() + std::min<std::size_t>(hash.size(), 15), mark, 16);
  return std::max<std::uint64_t>(mark, 1);
}

std::string quota_spent_text(const QuotaView& view) {
  std::string size;
  if (view.limit) {
    size = " (" + std::to_string(view.limit->calls) + " a " + per_text(view.limit->per) + ")";
  } else if (view.api_limit) {
    size = " (" + std::to_string(*view.api_limit) + ", as the API says)";
  }
  return "no call of its quota" + size + " is left" + (view.free ? " before " + rfc3339(*view.free) : "");
}

std::string quota_json(const QuotaView& view) {
  if (!view.limit && !view.left) return "null";
  const auto number = [](const std::optional<std::uint64_t>& value) {
    return value ? std::to_string(*value) : std::string("null");
  };
  const std::string calls = view.limit ? std::to_string(view.limit->calls) : number(view.api_limit);
  return "{\"calls\":" + calls + ",\"per\":" + (view.limit ? "\"" + per_text(view.limit->per) + "\"" : "null") +
         ",\"left\":" + number(view.left) + ",\"renews\":" + rfc3339_json(view.renews) + "}";
}

}  // namespace restream
