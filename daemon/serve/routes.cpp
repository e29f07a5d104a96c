#include "serve/routes.hpp"
#include "serve/handshake.hpp"

#include <utility>

#include "model/channel_id.hpp"
#include "serve/api_documents.hpp"
#include "serve/page.hpp"
#include "serve/stream_request.hpp"

namespace restream {

namespace {

using Reply = std::function<void(Answer)>;

constexpr std::string_view channels_prefix = "/channels/";
constexpr std::string_view fetchers_prefix = "/fetchers/";
constexpr int retry_after_seconds = 5;
// A shorter body leaves together with its head.
constexpr std::size_t worth_sharing = 16U << 10U;

Answer json_answer(std::string json) {
  Answer answer;
  answer.body = std::move(json);
  return answer;
}

Answer wrong_method(std::string_view message, std::string_view allowed) {
  Answer answer = error_answer(405, "bad_request", message);
  answer.headers.emplace_back("Allow", allowed);
  return answer;
}

// What is there depends on what the client accepts.
Reply by_accept(const Reply& reply) {
  return [reply](Answer answer) {
    answer.headers.emplace_back("Vary", "Accept");
    reply(std::move(answer));
  };
}

Answer not_found(std::string_view path) {
  return error_answer(
      404, "bad_request",
      "there is nothing at " + std::string(path.substr(0, 200)) + "; try /channels, /fetchers, /livez or /readyz");
}

// `shared`: the same, where it is shared.
Answer document_answer(const Document& document, std::string_view if_none_match,
                       const std::shared_ptr<const Document>& shared = nullptr) {
  const bool share = shared && document.json.size() >= worth_sharing;
  Answer answer = json_answer(share ? std::string() : document.json);
  if (share) answer.shared = {shared, &shared->json};
  answer.status = document.status;
  if (!document.etag.empty()) answer.headers.emplace_back("ETag", document.etag);
  if (answer.status == 200 && etag_matches(if_none_match, document.etag)) {
    answer.status = 304;
    answer.body.clear();
    answer.shared = nullptr;
  }
  if (answer.status == 503 || answer.status == 429)
    answer.headers.emplace_back("Retry-After", std::to_string(retry_after_seconds));
  return answer;
}

std::function<void(Document)> on_document(Loop& loop, const Request& request, const Reply& reply) {
  return loop.on_loop<Document>([reply, tags = request.list("if-none-match")](const Document& document) {
    reply(document_answer(document, tags));
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

Answer draining_answer() {
  Answer answer = refusal_answer("unavailable", "the server is shutting down; try again in a moment");
  answer.close = true;
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

void answer_metrics(Loop& loop, const Reply& reply) {
  loop.feed().get_metrics(loop.on_loop<std::string>([reply](const std::string& text) {
    Answer answer;
    answer.type = "text/plain; version=0.0.4; charset=utf-8";
    answer.body = text;
    reply(answer);
  }));
}

void answer_channel(Loop& loop, const Request& request, const Visitor& visitor, const Reply& reply) {
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
  using Shared = std::shared_ptr<const Document>;
  loop.feed().get_channel(*name, std::move(query->params), visitor,
                          loop.on_loop<Shared>([reply, tags = request.list("if-none-match")](const Shared& document) {
                            reply(document_answer(*document, tags, document));
                          }));
}

void answer_fetcher(Loop& loop, const Request& request, const Visitor& visitor, const Reply& reply) {
  auto name = percent_decode(std::string_view(request.path).substr(fetchers_prefix.size()));
  if (!name) return reply(error_answer(400, "bad_request", "in the path: " + name.error().message));
  if (name->empty()) return reply(not_found(request.path));
  loop.feed().get_fetchers(std::move(*name), visitor.access, on_document(loop, request, reply));
}

// Of what those fetchers are good for that the visitor may see.
void answer_description(Loop& loop, const Way& way, const Visitor& visitor, const Reply& reply,
                        std::string (*describe)(std::string_view, const ApiContext&)) {
  loop.feed().get_fetchers(
      std::nullopt, visitor.access, loop.on_loop<Document>([&loop, way, reply, describe](const Document& catalogue) {
        const ApiContext context{.version = loop.options().version, .host = way.host, .https = way.https};
        reply(json_answer(describe(catalogue.json, context)));
      }));
}

}  // namespace

void route(Loop& loop, const Request& request, const Way& way, const Visitor& visitor, const Reply& reply) {
  const std::string& path = request.path;
  // A GET of it has gone another way.
  if (path == events_path) return reply(wrong_method("event streams are asked for by GET", "GET"));
  if (request.method != "GET" && request.method != "HEAD") {
    Answer answer = wrong_method("only GET and HEAD are understood here", "GET, HEAD");
    answer.close = true;
    return reply(std::move(answer));
  }
  if (path == "/livez") return reply(json_answer(R"({"live":true})"));
  if (path == "/readyz") return answer_readiness(loop, reply);
  if (path == "/metrics") return answer_metrics(loop, reply);
  if (loop.draining()) return reply(draining_answer());
  if (asks_for_page(path, request.header("accept"))) return reply(page_answer());
  if (path == "/" || path == "/fetchers")
    return loop.feed().get_fetchers(std::nullopt, visitor.access,
                                    on_document(loop, request, path == "/" ? by_accept(reply) : reply));
  if (path == "/asyncapi.json") return answer_description(loop, way, visitor, reply, asyncapi_document);
  if (path == "/openapi.json") return answer_description(loop, way, visitor, reply, openapi_document);
  if (path == "/channels") return loop.feed().get_channels(visitor.access, on_document(loop, request, reply));
  if (path.starts_with(channels_prefix)) return answer_channel(loop, request, visitor, by_accept(reply));
  if (path.starts_with(fetchers_prefix)) return answer_fetcher(loop, request, visitor, reply);
  reply(not_found(path));
}

Answer preflight_answer(bool allowed) {
  if (!allowed) return error_answer(403, "unauthorized", "pages of this origin may not ask here; see listen.origins");
  Answer answer;
  answer.status = 204;
  answer.headers = {{"Access-Control-Allow-Methods", "GET, HEAD, POST"},
                    {"Access-Control-Allow-Headers", "Authorization, If-None-Match, Last-Event-ID"},
                    {"Access-Control-Max-Age", "600"}};
  return answer;
}

Answer ticket_answer(Loop& loop, const Request& request, const Admission& admission) {
  if (request.method != "POST") return wrong_method("tickets are made by POST", "POST");
  if (loop.draining()) return draining_answer();
  const auto ticket = loop.tickets().issue(admission.token(), loop.clock().steady());
  if (!ticket) return refusal_answer("unavailable", "too many tickets are waiting to be used; try again in a moment");
  Answer answer =
      json_answer(R"({"ticket":")" + *ticket + R"(","expires_in":)" + std::to_string(ticket_time.count()) + '}');
  answer.status = 201;
  return answer;
}

std::optional<Answer> stream_refusal(const Loop& loop, const Request& request, bool allowed) {
  if (loop.draining()) return draining_answer();
  const std::string_view origin = request.header("origin");
  if (request.has("origin") && !allowed)
    return error_answer(403, "unauthorized",
                        "the origin " + std::string(origin.substr(0, 200)) +
                            " may not subscribe here; the operator can allow it in listen.origins");
  return std::nullopt;
}

std::optional<Answer> upgrade_refusal(const Loop& loop, const Request& request, bool allowed) {
  if (request.path != "/channels")
    return error_answer(404, "bad_request", "WebSockets are at /channels, and nowhere else");
  if (auto refusal = handshake_refusal(request)) return refusal;
  return stream_refusal(loop, request, allowed);
}

}  // namespace restream
