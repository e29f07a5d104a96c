#include "tool/recording.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <restream/json_slice.hpp>
#include <stdexcept>
#include <utility>

#include "keys/base64.hpp"

namespace restream::tool {

using json = nlohmann::ordered_json;

namespace {

constexpr int version = 1;
constexpr std::array<std::string_view, 7> proofs = {
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "apikey"};
constexpr std::array<std::pair<HttpProblem, std::string_view>, 7> problems = {{
    {HttpProblem::bad_request, "bad_request"},
    {HttpProblem::refused, "refused"},
    {HttpProblem::unreachable, "unreachable"},
    {HttpProblem::timeout, "timeout"},
    {HttpProblem::too_large, "too_large"},
    {HttpProblem::cancelled, "cancelled"},
    {HttpProblem::quota, "quota"},
}};

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(json(text).dump());
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

// An object where no name comes twice, else a list of [name, value].
json header_object(const HttpHeaders& headers) {
  json object = json::object();
  json list = json::array();
  for (const auto& [name, value] : headers) {
    object[name] = value;
    list.push_back(json::array({name, value}));
  }
  return object.size() == list.size() ? object : list;
}

// As JSON where that gives the same bytes back, so that people can read and mend it; but writing JSON recurses over its
// depth, which is the API's to choose.
void put_body(json& object, const std::string& body) {
  if (body.empty()) return;
  if (!is_utf8(body)) {
    object["body_base64"] = keys::base64(std::vector<std::uint8_t>(body.begin(), body.end()));
    return;
  }
  // In the file it lies four levels deep.
  const json parsed = detail::is_too_deep("[[[[" + body) ? json() : json::parse(body, nullptr, false);
  if (!parsed.is_discarded() && parsed.is_structured() && parsed.dump() == body) {
    object["body_json"] = parsed;
  } else {
    object["body"] = body;
  }
}

std::string path_of(const std::string& url) { return url.substr(0, url.find('?')); }

// Thrown inside this file only.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

const json& member(const json& object, const char* name, const std::string& where) {
  if (!object.is_object() || !object.contains(name)) throw Wrong(where + " lacks \"" + name + "\"");
  return object.at(name);
}

std::string text_in(const json& object, const char* name, const std::string& where, std::string otherwise = {}) {
  if (!object.contains(name)) return otherwise;
  if (!object.at(name).is_string()) throw Wrong(where + ": \"" + name + "\" must be a string");
  return object.at(name).get<std::string>();
}

HttpHeaders headers_in(const json& object, const std::string& where) {
  HttpHeaders headers;
  if (!object.contains("headers")) return headers;
  const json& given = object.at("headers");
  if (given.is_object()) {
    for (const auto& [name, value] : given.items())
      headers.emplace_back(lower(name), value.is_string() ? value.get<std::string>() : value.dump());
    return headers;
  }
  for (const json& pair : given) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
      throw Wrong(where + ": \"headers\" must be an object, or a list of [name, value]");
    headers.emplace_back(lower(pair[0].get<std::string>()), pair[1].get<std::string>());
  }
  return headers;
}

std::string body_in(const json& object, const std::string& where) {
  if (object.contains("body_json")) return object.at("body_json").dump();
  if (object.contains("body_base64")) {
    const std::string text = text_in(object, "body_base64", where);
    const std::size_t padding = text.size() - std::min(text.size(), text.find_last_not_of('=') + 1);
    std::vector<std::uint8_t> bytes(text.size() / 4 * 3 - std::min(padding, text.size() / 4 * 3));
    if (!keys::base64_decode(text, bytes)) throw Wrong(where + ": \"body_base64\" is not base64");
    return {bytes.begin(), bytes.end()};
  }
  return text_in(object, "body", where);
}

HttpResult result_in(const json& exchange, const std::string& where) {
  if (exchange.contains("error")) {
    const json& error = exchange.at("error");
    const std::string problem = text_in(error, "problem", where);
    const auto* const found =
        std::ranges::find_if(problems, [&](const auto& known) { return known.second == problem; });
    if (found == problems.end()) throw Wrong(where + ": there is no problem \"" + problem + "\"");
    return std::unexpected(
        HttpError{.problem = found->first, .message = text_in(error, "message", where, problem), .requests = 1});
  }
  const json& response = member(exchange, "response", where);
  const json& status = member(response, "status", where);
  if (!status.is_number_integer() || status < 100 || status > 599)
    throw Wrong(where + ": \"status\" must be a number from 100 to 599");
  return HttpResponse{.status = status.get<int>(),
                      .headers = headers_in(response, where),
                      .body = body_in(response, where),
                      .requests = 1};
}

Recording read(const json& object) {
  if (!object.is_object() || !object.contains("restream_recording"))
    throw Wrong("this is no recording: it has no \"restream_recording\"");
  if (object.at("restream_recording") != version)
    throw Wrong("this recording is of another version; this program reads version " + std::to_string(version));
  Recording recording;
  recording.fetcher = text_in(object, "fetcher", "the recording");
  recording.recorded = text_in(object, "recorded", "the recording");
  if (object.contains("params")) {
    for (const auto& [name, value] : object.at("params").items())
      recording.params.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  for (const json& one : member(object, "exchanges", "the recording")) {
    const std::string where = "exchange " + std::to_string(recording.exchanges.size() + 1);
    const json& asked = member(one, "request", where);
    HttpRequest request;
    request.method = text_in(asked, "method", where, "GET");
    request.url = text_in(asked, "url", where);
    if (request.url.empty()) throw Wrong(where + " lacks \"url\"");
    request.headers = headers_in(asked, where);
    request.body = body_in(asked, where);
    recording.exchanges.push_back({.request = std::move(request), .result = result_in(one, where), .time = {}});
  }
  return recording;
}

HttpHeaders redacted(const HttpHeaders& headers, const Redactor& redactor) {
  HttpHeaders out;
  for (const auto& [name, value] : headers) {
    const bool is_proof = std::ranges::find(proofs, lower(name)) != proofs.end();
    out.emplace_back(name, is_proof ? "[redacted]" : redactor.redact(value));
  }
  return out;
}

}  // namespace

std::string_view problem_text(HttpProblem problem) {
  for (const auto& [known, text] : problems)
    if (known == problem) return text;
  return "unknown";
}

std::string to_json(const Recording& recording) {
  json params = json::object();
  for (const auto& [name, value] : recording.params) params[name] = value;
  json exchanges = json::array();
  for (const Exchange& one : recording.exchanges) {
    json request = {{"method", one.request.method}, {"url", one.request.url}};
    if (!one.request.headers.empty()) request["headers"] = header_object(one.request.headers);
    put_body(request, one.request.body);
    json exchange = {{"request", std::move(request)}};
    if (one.result) {
      json response = {{"status", one.result->status}, {"headers", header_object(one.result->headers)}};
      put_body(response, one.result->body);
      exchange["response"] = std::move(response);
    } else {
      exchange["error"] = {{"problem", problem_text(one.result.error().problem)},
                           {"message", one.result.error().message}};
    }
    exchanges.push_back(std::move(exchange));
  }
  const json file = {{"restream_recording", version},
                     {"fetcher", recording.fetcher},
                     {"params", std::move(params)},
                     {"recorded", recording.recorded},
                     {"exchanges", std::move(exchanges)}};
  return file.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::expected<Recording, std::string> parse_recording(std::string_view text) {
  if (detail::is_too_deep(text)) return std::unexpected("this is no recording: it is nested too deeply");
  try {
    return read(json::parse(text));
  } catch (const json::parse_error& error) {
    return std::unexpected("this is not JSON, as byte " + std::to_string(error.byte) + " shows");
  } catch (const json::exception&) {
    return std::unexpected("this is no recording: a value has another shape than it should");
  } catch (const Wrong& wrong) {
    return std::unexpected(wrong.what());
  }
}

Exchange redacted(const Exchange& exchange, const Redactor& redactor) {
  Exchange out = exchange;
  out.request.url = redactor.redact(exchange.request.url);
  out.request.headers = redacted(exchange.request.headers, redactor);
  out.request.body = redactor.redact(exchange.request.body);
  if (exchange.result) {
    out.result->headers = redacted(exchange.result->headers, redactor);
    out.result->body = redactor.redact(exchange.result->body);
  } else {
    out.result.error().message = redactor.redact(exchange.result.error().message);
  }
  return out;
}

std::optional<std::size_t> find_exchange(const Recording& recording, const std::vector<bool>& used,
                                         const HttpRequest& request) {
  const auto is_same = [&](const HttpRequest& other) {
    return other.method == request.method && other.url == request.url && other.body == request.body;
  };
  const auto is_alike = [&](const HttpRequest& other) {
    return other.method == request.method && path_of(other.url) == path_of(request.url);
  };
  std::optional<std::size_t> last_used;
  const auto first_unused = [&](const auto& fits) -> std::optional<std::size_t> {
    for (std::size_t i = 0; i < recording.exchanges.size(); ++i) {
      if (!fits(recording.exchanges[i].request)) continue;
      if (!used[i]) return i;
      last_used = i;
    }
    return std::nullopt;
  };
  if (const auto found = first_unused(is_same)) return found;
  if (last_used) return last_used;
  if (const auto found = first_unused(is_alike)) return found;
  return last_used;
}

}  // namespace restream::tool
