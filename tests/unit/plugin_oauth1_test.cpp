// Signing against published examples: Twitter's own, RFC 5849's, and OAuth Core 1.0's.
#include <catch2/catch.hpp>
#include <stdexcept>

#include "twitter-status/oauth1.hpp"

namespace {

// https://developer.x.com/en/docs/authentication/oauth-1-0a/creating-a-signature
const oauth1::Credentials twitter{"xvz1evFS4wEEPTGEFPHBog", "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
                                  "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
                                  "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE"};
const oauth1::Parameters update{{"status", "Hello Ladies + Gentlemen, a signed OAuth request!"},
                                {"include_entities", "true"}};

// What stands between the last two ampersands of a base string, for a request with these parameters alone.
std::string parameters_of(const oauth1::Parameters& parameters) {
  const std::string base = oauth1::base_string("GET", "http://a/", parameters);
  return base.substr(base.rfind('&') + 1);
}

std::string uri_of(std::string_view url) {
  const std::string base = oauth1::base_string("GET", url, {});
  return base.substr(4, base.size() - 5);
}

}  // namespace

TEST_CASE("OAuth signs Twitter's published example with the published signature") {
  const std::string header = oauth1::authorization("POST", "https://api.twitter.com/1.1/statuses/update.json", update,
                                                   twitter, 1318622958, "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg");
  CHECK(header ==
        "OAuth oauth_consumer_key=\"xvz1evFS4wEEPTGEFPHBog\", "
        "oauth_nonce=\"kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg\", "
        "oauth_signature=\"hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D\", oauth_signature_method=\"HMAC-SHA1\", "
        "oauth_timestamp=\"1318622958\", oauth_token=\"370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb\", "
        "oauth_version=\"1.0\"");
}

TEST_CASE("the base string of Twitter's published example is the published one") {
  oauth1::Parameters all = update;
  all.insert(all.end(), {{"oauth_consumer_key", twitter.consumer_key},
                         {"oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"},
                         {"oauth_signature_method", "HMAC-SHA1"},
                         {"oauth_timestamp", "1318622958"},
                         {"oauth_token", twitter.token},
                         {"oauth_version", "1.0"}});
  const std::string base = oauth1::base_string("post", "https://api.twitter.com/1.1/statuses/update.json", all);
  CHECK(base ==
        "POST&https%3A%2F%2Fapi.twitter.com%2F1.1%2Fstatuses%2Fupdate.json&include_entities%3Dtrue%26"
        "oauth_consumer_key%3Dxvz1evFS4wEEPTGEFPHBog%26oauth_nonce%3DkYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg%26"
        "oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D1318622958%26"
        "oauth_token%3D370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb%26oauth_version%3D1.0%26"
        "status%3DHello%2520Ladies%2520%252B%2520Gentlemen%252C%2520a%2520signed%2520OAuth%2520request%2521");
  CHECK(oauth1::signature(base, twitter.consumer_secret, twitter.token_secret) == "hCtSmYh+iHYCEqBWrE7C7hYmtUk=");
}

TEST_CASE("the base string of RFC 5849 section 3.4.1.1 comes out as printed there") {
  // POST /request?b5=%3D%253D&a3=a&c%40=&a2=r%20b with the form body c2&a3=2+q
  const oauth1::Parameters parameters{{"b5", "=%3D"},
                                      {"a3", "a"},
                                      {"c@", ""},
                                      {"a2", "r b"},
                                      {"c2", ""},
                                      {"a3", "2 q"},
                                      {"oauth_consumer_key", "9djdj82h48djs9d2"},
                                      {"oauth_token", "kkk9d7dh3k39sjv7"},
                                      {"oauth_signature_method", "HMAC-SHA1"},
                                      {"oauth_timestamp", "137131201"},
                                      {"oauth_nonce", "7d8f3e4a"}};
  CHECK(oauth1::base_string("POST", "http://example.com/request", parameters) ==
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26"
        "c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26"
        "oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7");
}

TEST_CASE("OAuth signs a GET with a query as OAuth Core 1.0 appendix A does") {
  const oauth1::Credentials photos{"dpf43f3p2l4k3l03", "kd94hf93k423kf44", "nnch734d00sl2jdk", "pfkkdhi9sl3r4s00"};
  const std::string header =
      oauth1::authorization("GET", "http://photos.example.net/photos", {{"file", "vacation.jpg"}, {"size", "original"}},
                            photos, 1191242096, "kllo9940pd9333jh");
  CHECK(header.find("oauth_signature=\"tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D\"") != std::string::npos);
}

TEST_CASE("OAuth encodes the secrets before it joins them into a key") {
  // printf %s GET | openssl dgst -sha1 -hmac 'c%26s&a%20t%2Fs' -binary | base64
  CHECK(oauth1::signature("GET", "c&s", "a t/s") == "PoYwb6ogpC72hlzsBt0tN+xGO0E=");
  CHECK(oauth1::signature("GET", "c", "") == "WZhSfbVCCHOq5q99GrDrJRKKcpU=");
}

TEST_CASE("OAuth encodes every byte but letters, digits and -._~, in upper-case hex") {
  CHECK(parameters_of({{"a", "azAZ09-._~"}}) == "a%3DazAZ09-._~");
  CHECK(parameters_of({{"a", "+ *!'()/"}}) == "a%3D%252B%2520%252A%2521%2527%2528%2529%252F");
  CHECK(parameters_of({{"a", "\xE2\x98\x83"}}) == "a%3D%25E2%2598%2583");
  CHECK(parameters_of({{"a", "\n\x7F"}}) == "a%3D%250A%257F");
}

TEST_CASE("OAuth sorts parameters by encoded name, and equal names by encoded value") {
  CHECK(parameters_of({{"b", "1"}, {"a", "2"}, {"a", "10"}, {"a", "1"}}) == "a%3D1%26a%3D10%26a%3D2%26b%3D1");
  // Encoded, ':' is "%3A", which comes before '0'; as bytes it would come after it.
  CHECK(parameters_of({{"a", "0"}, {"a", ":"}}) == "a%3D%253A%26a%3D0");
  // By name first: "a" before "a1", though "a1=" sorts before "a=" as text.
  CHECK(parameters_of({{"a1", "x"}, {"a", "x"}}) == "a%3Dx%26a1%3Dx");
}

TEST_CASE("OAuth's base URI has scheme and host in lower case and no default port") {
  CHECK(uri_of("HTTP://EXAMPLE.COM:80/r%20v/X") == "http%3A%2F%2Fexample.com%2Fr%2520v%2FX");
  CHECK(uri_of("https://www.example.net:8080/") == "https%3A%2F%2Fwww.example.net%3A8080%2F");
  CHECK(uri_of("https://example.net:443") == "https%3A%2F%2Fexample.net%2F");
  CHECK(uri_of("https://example.net:80/a") == "https%3A%2F%2Fexample.net%3A80%2Fa");
}

TEST_CASE("OAuth refuses a URL whose query would be left unsigned") {
  CHECK_THROWS_AS(oauth1::base_string("GET", "https://example.net/a?b=c", {}), std::invalid_argument);
  CHECK_THROWS_AS(oauth1::base_string("GET", "/a", {}), std::invalid_argument);
}
