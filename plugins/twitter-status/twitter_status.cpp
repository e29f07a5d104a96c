// One tweet, followed by its id: GET /2/tweets/:id, signed with OAuth 1.0a. A deleted tweet is removed.
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <restream/fetcher.hpp>

#include "oauth1.hpp"

namespace {

using restream::json;

constexpr std::string_view endpoint = "https://api.twitter.com/2/tweets/";
constexpr std::string_view fields = "author_id,created_at,lang,public_metrics";

std::string random_nonce() {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    throw std::runtime_error("OpenSSL has no randomness for a nonce");
  }
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const unsigned char byte : bytes) {
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

std::int64_t unix_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

std::string signed_header(std::string_view url, const restream::Keys& keys) {
  const oauth1::Credentials credentials{keys.at("consumer-key"), keys.at("consumer-secret"), keys.at("access-token"),
                                        keys.at("access-token-secret")};
  return oauth1::authorization("GET", url, {{"tweet.fields", std::string(fields)}}, credentials, unix_seconds(),
                               random_nonce());
}

// The host part differs between api.twitter.com and api.x.com; the last segment does not.
bool is_problem(const json& error, std::string_view kind) {
  return error.value("type", "").ends_with("/problems/" + std::string(kind));
}

// The API says in a 200 that there is no such tweet, or why it does not show it.
restream::Result without_data(const json& errors) {
  const auto is_gone = [](const json& error) { return is_problem(error, "resource-not-found"); };
  if (!errors.empty() && std::ranges::all_of(errors, is_gone)) return restream::items(json::array());
  const json first = errors.empty() ? json::object() : errors.front();
  const int status = is_problem(first, "not-authorized-for-resource") ? 403 : 502;
  return restream::failure(status, "the API answered: " + first.value("detail", first.value("title", "no tweet")));
}

struct TwitterStatus {
  static json metadata() {
    return {
        {"name", "twitter-status"},
        {"description", "One tweet, with its counts of likes, replies and retweets"},
        {"version", "1.0.0"},
        {"id_field", "id"},
        {"api_url", std::string(endpoint) + "{}"},
        {"doc_url", "https://developer.x.com/en/docs/twitter-api/tweets/lookup/api-reference/get-tweets-id"},
        {"keys", json::array({"consumer-key", "consumer-secret", "access-token", "access-token-secret"})},
        {"poll_interval", 90},
        {"quota", {{"calls", 60}, {"per", "hour"}, {"shared_key", "access-token"}}},
        {"params", {{"id", {{"required", true}, {"pattern", "[0-9]{1,19}"}, {"description", "the tweet's id"}}}}},
        {"example_params", {{"id", "1460323737035677698"}}},
        {"complete", true},
    };
  }

  static restream::Result fetch(restream::Context& context, const restream::Params& params,
                                const restream::Keys& keys) {
    const std::string url = std::string(endpoint) + restream::percent_encode(params.at("id"));
    const auto answer = context.get(url + "?tweet.fields=" + restream::percent_encode(fields),
                                    {{"authorization", signed_header(url, keys)}});
    if (!answer.ok()) return answer.failure();
    const json body = answer.json();
    // Errors beside data tell of parts of a tweet that are missing; the tweet itself is there.
    return body.contains("data") ? restream::item(body.at("data")) : without_data(body.at("errors"));
  }
};

}  // namespace

RESTREAM_FETCHER(TwitterStatus)
