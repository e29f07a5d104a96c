// The restream fetcher contract for C++: write a struct with two static functions and one macro.
//
//   struct Stars {
//     static restream::json metadata() { return {{"name", "stars"}, {"id_field", "id"}, …}; }
//     static restream::Result fetch(restream::Context& context, const restream::Params& params,
//                                   const restream::Keys& keys) {
//       const auto answer = context.get("https://api.example.com/stars/" + restream::percent_encode(params.at("of")));
//       return answer.items("/stars");  // or failure(), when it is not ok
//     }
//   };
//   RESTREAM_FETCHER(Stars)
//
// fetch() runs on many threads at once and keeps nothing between calls. It may throw: no exception leaves the plugin,
// the poll fails and what() is its message. nlohmann/json stays inside the plugin; JSON text is all that crosses.
#pragma once

#include <restream/fetcher.h>
#include <restream/json_slice.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace restream {

using json = nlohmann::json;
using Params = std::map<std::string, std::string>;  // canonical: defaults are filled in
using Keys = std::map<std::string, std::string>;    // only the keys that metadata() declares

// What fetch() returns: items with status 200, or a status of 400 and up with a text. Make it with items(),
// Answer::items() or failure().
struct Result {
  int status_code = 200;
  json result;
  std::string text;  // when it is not empty, JSON text that stands in the place of `result`
};

inline Result items(json list) { return {200, std::move(list), {}}; }
inline Result item(json one) { return {200, json::array({std::move(one)}), {}}; }
inline Result failure(int status_code, std::string text) { return {status_code, std::move(text), {}}; }

// There was no answer: refused, unreachable, timed out. The daemon knows which; let it pass through.
class HttpError : public std::runtime_error {
 public:
  HttpError(std::int32_t code, const std::string& text) : std::runtime_error(text), code_(code) {}
  [[nodiscard]] std::int32_t code() const { return code_; }  // RESTREAM_UNREACHABLE and so on

 private:
  std::int32_t code_;
};

// An answer of the API, whatever its status.
struct Answer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  [[nodiscard]] bool ok() const { return status >= 200 && status < 300; }
  // Throws when the body is not JSON, or is nested absurdly deep; the message quotes nothing of it.
  [[nodiscard]] restream::json json() const {
    if (detail::is_too_deep(body)) throw std::runtime_error("the API's answer is nested too deeply");
    try {
      return restream::json::parse(body);
    } catch (const restream::json::parse_error& error) {
      const auto type = headers.find("content-type");
      throw std::runtime_error("the API's answer of " + std::to_string(body.size()) + " bytes (" +
                               (type == headers.end() ? "no content-type" : type->second) + ") is not JSON, as byte " +
                               std::to_string(error.byte) + " shows");
    }
  }
  // The list at a JSON pointer ("" is the whole body), or failure() when the status is not ok. The items are handed on
  // as the API wrote them, without being parsed here: where they need no change this is the cheapest way by far.
  // Throws as json() does, and when there is no list at that place.
  [[nodiscard]] Result items(std::string_view pointer) const {
    if (!ok()) return failure();
    if (const auto list = detail::array_at(body, pointer)) return {200, {}, std::string(*list)};
    const restream::json parsed = json();
    const restream::json::json_pointer place{std::string(pointer)};
    if (!parsed.contains(place) || !parsed.at(place).is_array())
      throw std::runtime_error("the API's answer has no list at '" + std::string(pointer) + "'");
    return restream::items(parsed.at(place));
  }
  // The result for a status that is not ok: 4xx and 5xx as they are, anything else as 502.
  [[nodiscard]] Result failure() const {
    const bool is_error = status >= 400 && status <= 599;
    return restream::failure(is_error ? status : 502, "the API answered with status " + std::to_string(status));
  }
};

using Headers = std::vector<std::pair<std::string, std::string>>;

// One call, as the plugin sees it. Use it on the thread it came on, and not after fetch() returns.
class Context {
 public:
  Context(const restream_call& call, json config) : call_(call), config_(std::move(config)) {}

  // One request through the daemon. Throws HttpError when there was no answer.
  Answer get(std::string_view url, const Headers& headers = {}) { return request("GET", url, headers, {}); }

  Answer request(std::string_view method, std::string_view url, const Headers& headers, std::string_view body) {
    std::vector<restream_header> raw;
    raw.reserve(headers.size());
    for (const auto& [name, value] : headers) raw.push_back({text(name), text(value)});
    const restream_http_request ask{sizeof(restream_http_request),
                                    static_cast<std::uint32_t>(raw.size()),
                                    text(method),
                                    text(url),
                                    raw.data(),
                                    text(body)};
    restream_http_response reply{};
    reply.size = sizeof reply;
    const std::int32_t code = call_.http(&call_, &ask, &reply);
    if (code != RESTREAM_OK) throw HttpError(code, string(reply.error));
    Answer answer{reply.status, {}, string(reply.body)};
    for (std::uint32_t i = 0; i < reply.header_count; ++i)
      answer.headers.insert_or_assign(string(reply.headers[i].name), string(reply.headers[i].value));
    return answer;
  }

  // RESTREAM_DEBUG, RESTREAM_INFO, RESTREAM_WARNING or RESTREAM_ERROR. Never log a key.
  void log(std::int32_t level, std::string_view line) { call_.log(&call_, level, line.data(), line.size()); }

  // True once nobody waits for the result.
  [[nodiscard]] bool cancelled() const { return call_.cancelled(&call_); }

  // The free-form object that the configuration gives this fetcher.
  [[nodiscard]] const json& config() const { return config_; }

 private:
  static restream_text text(std::string_view view) { return {view.data(), view.size()}; }
  static std::string string(restream_text view) {
    return view.size == 0 ? std::string() : std::string(view.data, view.size);
  }

  const restream_call& call_;
  json config_;
};

// Everything outside RFC 3986's unreserved set becomes %XX: for params in URLs, and for OAuth.
inline std::string percent_encode(std::string_view text) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4U];
      out += digits[byte & 15U];
    }
  }
  return out;
}

namespace detail {

inline std::int32_t emit(const restream_call* call, const json& value) {
  // An API may send text that is not UTF-8; it must not cost the poll.
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return call->emit(call, text.data(), text.size());
}

inline void log_error(const restream_call* call, std::string_view line) {
  call->log(call, RESTREAM_ERROR, line.data(), line.size());
}

// Runs `work` so that nothing is thrown across the C boundary.
template <class Work>
std::int32_t guarded(const restream_call* call, Work work) noexcept {
  try {
    return work();
  } catch (const HttpError& error) {
    log_error(call, error.what());
    return error.code();
  } catch (const std::exception& error) {
    log_error(call, error.what());
    return RESTREAM_FAILED;
  } catch (...) {
    log_error(call, "the plugin threw something that is not a std::exception");
    return RESTREAM_FAILED;
  }
}

template <class Fetcher>
std::int32_t run_metadata(const restream_call* call) noexcept {
  return guarded(call, [call] { return emit(call, Fetcher::metadata()); });
}

template <class Fetcher>
std::int32_t run_fetch(const restream_call* call) noexcept {
  return guarded(call, [call] {
    const json request = json::parse(std::string_view(call->request.data, call->request.size));
    Context context(*call, request.value("config", json::object()));
    const Result result = Fetcher::fetch(context, request.at("params").get<Params>(), request.at("keys").get<Keys>());
    // In pieces: an object made of them would be a copy of all items.
    const std::string head = R"({"status_code":)" + std::to_string(result.status_code) + R"(,"result":)";
    std::int32_t code = call->emit(call, head.data(), head.size());
    if (code == RESTREAM_OK)
      code = result.text.empty() ? emit(call, result.result) : call->emit(call, result.text.data(), result.text.size());
    return code == RESTREAM_OK ? call->emit(call, "}", 1) : code;
  });
}

}  // namespace detail
}  // namespace restream

// Exports the plugin's three symbols. Once, at namespace scope of one source file.
#define RESTREAM_FETCHER(Type)                                                                                  \
  extern "C" RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher;                                \
  const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;                       \
  extern "C" int32_t metadata(const restream_call* call) { return restream::detail::run_metadata<Type>(call); } \
  extern "C" int32_t fetch(const restream_call* call) { return restream::detail::run_fetch<Type>(call); }
