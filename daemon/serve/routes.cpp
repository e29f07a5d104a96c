#include "serve/routes.hpp"

#include <utility>

#include "model/channel_id.hpp"
#include "serve/page.hpp"

namespace restream {

namespace {

using Reply = std::function<void(Answer)>;

constexpr std::string_view channels_prefix = "/channels/";
constexpr std::string_view fetchers_prefix = "/fetchers/";
constexpr int retry_after_seconds = 5;

Answer json_answer(std::string json) {
  Answer answer;
  answer.body = std::move(json);
  return answer;
}

Answer not_found(std::string_view path) {
  return error_answer(
      404, "bad_request",
      "there is nothing at " + std::string(path.substr(0, 200)) + "; try /channels, /fetchers, /livez or /readyz");
}

Answer document_answer(const Document& document, std::string_view if_none_match) {
  Answer answer = json_answer(document.json);
  answer.status = document.status;
  if (!document.etag.empty()) answer.headers.emplace_back("ETag", document.etag);
  if (answer.status == 200 && etag_matches(if_none_match, document.etag)) {
    answer.status = 304;
    answer.body.clear();
  }
  if (answer.status == 503 || answer.status == 429)
    answer.headers.emplace_back("Retry-After", std::to_string(retry_after_seconds));
  return answer;
}

std::function<void(Document)> on_document(Loop& loop, const Request& request, const Reply& reply) {
  return loop.on_loop<Document>([reply, tag = std::string(request.header("if-none-match"))](const Document& document) {
    reply(document_answer(document, tag));
  });
}

Answer page_answer() {
  Answer answer;
  answer.type = "text/html";
  answer.body = page_html();
  answer.headers = {
      {"Content-Security-Policy", std::string(page_policy())}, {"Referrer-Policy", "no-referrer"}, {"Vary", "Accept"}};
  return answer;
}

void answer_readiness(Loop& loop, const Reply& reply) {
  const auto answer_for = [](bool ready, const std::string& reason) {
    Answer answer =
        json_answer(ready ? R"({"ready":true})" : R"({"ready":false,"reason":)" + json_string(reason) + '}');
    answer.status = ready ? 200 : 503;
    return answer;
  };
  if (loop.draining()) return reply(answer_for(false, "draining: the server is shutting down"));
  loop.feed().get_readiness(loop.on_loop<Readiness>(
      [reply, answer_for](const Readiness& readiness) { reply(answer_for(readiness.ready, readiness.reason)); }));
}

void answer_channel(Loop& loop, const Request& request, const std::string& address, const Reply& reply) {
  const auto name = percent_decode(std::string_view(request.path).substr(channels_prefix.size()));
  if (!name) return reply(error_answer(400, "bad_request", "in the path: " + name.error().message));
  if (name->empty()) return reply(not_found(request.path));
  auto query = parse_query(request.query);
  if (!query) return reply(error_answer(400, "invalid_params", "in the query: " + query.error().message));
  for (const auto& [own, value] : query->own)
    if (own != "_since")
      return reply(error_answer(400, "invalid_params",
                                "unknown query name '" + own.substr(0, 64) +
                                    "'; names that begin with '_' belong to restream, and it knows _since"));
  if (request.header("accept").find("text/event-stream") != std::string_view::npos)
    return reply(error_answer(406, "unavailable",
                              "this version does not send text/event-stream yet; subscribe by WebSocket at /channels, "
                              "or ask for application/json"));
  loop.feed().get_channel(*name, std::move(query->params), address, on_document(loop, request, reply));
}

void answer_fetcher(Loop& loop, const Request& request, const Reply& reply) {
  auto name = percent_decode(std::string_view(request.path).substr(fetchers_prefix.size()));
  if (!name) return reply(error_answer(400, "bad_request", "in the path: " + name.error().message));
  if (name->empty()) return reply(not_found(request.path));
  loop.feed().get_fetchers(std::move(*name), on_document(loop, request, reply));
}

}  // namespace

void route(Loop& loop, const Request& request, const std::string& address, const Reply& reply) {
  if (request.method != "GET" && request.method != "HEAD") {
    Answer answer = error_answer(405, "bad_request", "only GET and HEAD are understood here");
    answer.headers.emplace_back("Allow", "GET, HEAD");
    answer.close = true;
    return reply(std::move(answer));
  }
  const std::string& path = request.path;
  if (path == "/livez") return reply(json_answer(R"({"live":true})"));
  if (path == "/readyz") return answer_readiness(loop, reply);
  if (loop.draining()) {
    Answer answer = error_answer(503, "unavailable", "the server is shutting down; try again in a moment");
    answer.headers.emplace_back("Retry-After", std::to_string(retry_after_seconds));
    answer.close = true;
    return reply(std::move(answer));
  }
  if (asks_for_page(path, request.header("accept"))) return reply(page_answer());
  if (path == "/" || path == "/fetchers") {
    const Reply catalogue = [reply, vary = path == "/"](Answer answer) {
      if (vary) answer.headers.emplace_back("Vary", "Accept");
      reply(std::move(answer));
    };
    return loop.feed().get_fetchers(std::nullopt, on_document(loop, request, catalogue));
  }
  if (path == "/channels") return loop.feed().get_channels(on_document(loop, request, reply));
  if (path.starts_with(channels_prefix)) return answer_channel(loop, request, address, reply);
  if (path.starts_with(fetchers_prefix)) return answer_fetcher(loop, request, reply);
  reply(not_found(path));
}

std::optional<Answer> upgrade_refusal(const Loop& loop, const Request& request) {
  if (request.path != "/channels")
    return error_answer(404, "bad_request", "WebSockets are at /channels, and nowhere else");
  if (loop.draining()) {
    Answer answer = error_answer(503, "unavailable", "the server is shutting down; try again in a moment");
    answer.headers.emplace_back("Retry-After", std::to_string(retry_after_seconds));
    return answer;
  }
  const std::string_view origin = request.header("origin");
  if (request.has("origin") && !loop.origins().allows(origin, request.header("host")))
    return error_answer(403, "unauthorized",
                        "the origin " + std::string(origin.substr(0, 200)) +
                            " may not subscribe here; the operator can allow it in listen.origins");
  return std::nullopt;
}

}  // namespace restream
