#include "oauth1.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <restream/fetcher.hpp>
#include <stdexcept>

namespace oauth1 {
namespace {

using restream::percent_encode;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

// Section 3.4.1.2: scheme and host in lower case, the scheme's own port left out, the path as it is.
std::string base_uri(std::string_view url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos || url.find_first_of("?#") != std::string_view::npos) {
    throw std::invalid_argument("OAuth signs an absolute URL without query and fragment");
  }
  const std::string scheme = lower(url.substr(0, colon));
  const std::string_view rest = url.substr(colon + 3);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  std::string host = lower(rest.substr(0, slash));
  const std::string_view own_port = scheme == "https" ? ":443" : ":80";
  if (host.ends_with(own_port)) host.resize(host.size() - own_port.size());
  const std::string_view path = slash < rest.size() ? rest.substr(slash) : "/";
  return scheme + "://" + host + std::string(path);
}

// Section 3.4.1.3.2: encode, then sort by name and among equal names by value, then join.
std::string normalized(const Parameters& parameters) {
  Parameters encoded;
  encoded.reserve(parameters.size());
  for (const auto& [name, value] : parameters) encoded.emplace_back(percent_encode(name), percent_encode(value));
  std::ranges::sort(encoded);
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

}  // namespace

std::string base_string(std::string_view method, std::string_view url, const Parameters& parameters) {
  return percent_encode(upper(method)) + '&' + percent_encode(base_uri(url)) + '&' +
         percent_encode(normalized(parameters));
}

std::string signature(std::string_view base, std::string_view consumer_secret, std::string_view token_secret) {
  const std::string key = percent_encode(consumer_secret) + '&' + percent_encode(token_secret);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned int size = 0;
  const auto* text = reinterpret_cast<const unsigned char*>(base.data());
  if (HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), text, base.size(), mac.data(), &size) == nullptr) {
    throw std::runtime_error("OpenSSL cannot compute HMAC-SHA1");
  }
  std::array<unsigned char, 4 * ((EVP_MAX_MD_SIZE + 2) / 3) + 1> base64{};
  const int length = EVP_EncodeBlock(base64.data(), mac.data(), static_cast<int>(size));
  return {base64.begin(), base64.begin() + length};
}

std::string authorization(std::string_view method, std::string_view url, const Parameters& parameters,
                          const Credentials& credentials, std::int64_t timestamp, std::string_view nonce) {
  Parameters fields{
      {"oauth_consumer_key", credentials.consumer_key},
      {"oauth_nonce", std::string(nonce)},
      {"oauth_signature_method", "HMAC-SHA1"},
      {"oauth_timestamp", std::to_string(timestamp)},
      {"oauth_token", credentials.token},
      {"oauth_version", "1.0"},
  };
  Parameters all = parameters;
  all.insert(all.end(), fields.begin(), fields.end());
  fields.emplace_back("oauth_signature",
                      signature(base_string(method, url, all), credentials.consumer_secret, credentials.token_secret));
  std::ranges::sort(fields);
  std::string header = "OAuth ";
  for (const auto& [name, value] : fields) {
    if (!header.ends_with(' ')) header += ", ";
    header.append(name).append("=\"").append(percent_encode(value)).append("\"");
  }
  return header;
}

}  // namespace oauth1
