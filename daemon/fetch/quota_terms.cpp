#include "fetch/quota_terms.hpp"

namespace restream {

namespace {

std::string per_text(Millis per) {
  if (per == Seconds(1)) return "\"second\"";
  if (per == Seconds(60)) return "\"minute\"";
  return per == Seconds(3600) ? "\"hour\"" : "\"day\"";
}

// Sizes in front, so that no two lists of values are one text.
void add(std::string& out, const std::string& value) { ((out += std::to_string(value.size())) += ' ') += value; }

}  // namespace

QuotaTerms quota_terms(const Metadata& metadata, const std::optional<QuotaLimit>& configured, const FetcherKeys& keys,
                       const HttpRules& rules, const std::function<std::string(const std::string&)>& name) {
  QuotaTerms terms;
  terms.limit = configured;
  if (!terms.limit && metadata.quota) terms.limit = QuotaLimit{metadata.quota->calls, metadata.quota->per};
  std::string secret;
  std::size_t size = 32;
  for (const auto& [key, value] : keys) size += value.text().size() + 21;
  secret.reserve(size);  // it must not grow with a key in it
  secret = "quota of ";
  const auto shared = metadata.quota ? keys.find(metadata.quota->shared_key) : keys.end();
  if (shared != keys.end()) {
    add(secret, shared->second.text());
  } else if (!metadata.keys.empty()) {
    for (const std::string& key : metadata.keys)
      if (const auto found = keys.find(key); found != keys.end()) add(secret, found->second.text());
  } else {
    // Without a credential an API counts by address, which is one for all of us.
    secret += "everybody at " + (rules.connect_to.empty() ? rules.origins.front() : rules.connect_to);
    terms.whole_credential = terms.limit.has_value();
  }
  terms.credential = name(secret);
  wipe(secret);
  return terms;
}

std::string quota_json(const QuotaView& view) {
  if (!view.limit && !view.left) return "null";
  const auto number = [](const std::optional<std::uint64_t>& value) {
    return value ? std::to_string(*value) : std::string("null");
  };
  const std::string calls = view.limit ? std::to_string(view.limit->calls) : number(view.api_limit);
  return "{\"calls\":" + calls + ",\"per\":" + (view.limit ? per_text(view.limit->per) : "null") +
         ",\"left\":" + number(view.left) + ",\"renews\":" + rfc3339_json(view.renews) + "}";
}

}  // namespace restream
