#include "serve/api_documents.hpp"

#include <nlohmann/json.hpp>
#include <utility>

namespace restream {

namespace {

using Json = nlohmann::ordered_json;

Json parse(const char* text) { return Json::parse(text); }

// A Host header may hold any bytes.
std::string text_of(const Json& document) { return document.dump(-1, ' ', false, Json::error_handler_t::replace); }

// What all messages about a channel have.
Json message_schema(const char* type, const char* more) {
  Json schema = parse(R"({"type": "object", "required": ["type", "channel", "params"], "properties": {
    "type": {}, "channel": {"type": "string", "description": "the fetcher's name"},
    "params": {"type": "object", "additionalProperties": {"type": "string"}}}})");
  schema["properties"]["type"] = {{"const", type}};
  const Json extra = parse(more);
  for (const auto& [name, property] : extra.items()) {
    schema["properties"][name] = property;
    schema["required"].push_back(name);
  }
  return schema;
}

// Of protocol 1, by `type`.
Json message_schemas() {
  const char* position = R"({"position": {"type": "string", "description": "what to resume from; opaque"}})";
  const auto with_position = [&](const char* more) {
    Json all = parse(position);
    all.update(parse(more));
    return all.dump();
  };
  Json schemas = Json::object();
  schemas["subscribed"] = message_schema("subscribed", with_position(R"({"resumed": {"type": "boolean"}})").c_str());
  schemas["snapshot"] = message_schema(
      "snapshot", with_position(R"({"items": {"type": "array", "items": {"type": "object", "required": ["id", "item"],
        "properties": {"id": {"type": "string"}, "item": {}}}}})")
                      .c_str());
  const char* event = R"({"time": {"type": "string", "format": "date-time"}, "id": {"type": "string"}})";
  schemas["removed_item"] = message_schema("removed_item", with_position(event).c_str());
  schemas["new_item"] = schemas["removed_item"];
  schemas["new_item"]["properties"]["type"] = {{"const", "new_item"}};
  schemas["new_item"]["properties"]["item"] = {{"description", "the item, as the API has it"}};
  schemas["new_item"]["required"].push_back("item");
  schemas["updated_item"] = schemas["removed_item"];
  schemas["updated_item"]["properties"]["type"] = {{"const", "updated_item"}};
  schemas["updated_item"]["properties"]["item"] = {{"description", "the item, unless only patches are delivered"}};
  schemas["updated_item"]["properties"]["patch"] = parse(
      R"({"type": "array", "items": {"type": "object"}, "description": "RFC 6902 operations, unless only items are delivered"})");
  schemas["status"] = message_schema("status", R"({
    "state": {"enum": ["pending", "live", "limited", "failing", "needs_key", "unavailable"]},
    "reason": {"type": ["string", "null"]}, "message": {"type": "string"},
    "at": {"type": "string", "format": "date-time"}, "next_poll": {"type": ["string", "null"], "format": "date-time"}})");
  schemas["error"] = parse(R"({"type": "object", "required": ["type", "code", "message"], "properties": {
    "type": {"const": "error"}, "code": {"type": "string"}, "message": {"type": "string"}, "request": {}}})");
  return schemas;
}

// What a WebSocket is told besides.
Json socket_schemas() {
  Json schemas = message_schemas();
  schemas["ready"] = parse(R"({"type": "object", "required": ["type", "server", "protocol"], "properties": {
    "type": {"const": "ready"}, "server": {"type": "string"}, "protocol": {"const": 1}}})");
  schemas["unsubscribed"] = message_schema("unsubscribed", "{}");
  schemas["unsubscribed_all"] = parse(R"({"type": "object", "required": ["type", "count"], "properties": {
    "type": {"const": "unsubscribed_all"}, "count": {"type": "integer", "minimum": 0}}})");
  return schemas;
}

Json request_schema() {
  return parse(R"({"type": "object", "required": ["action"], "additionalProperties": false, "properties": {
    "action": {"enum": ["subscribe", "unsubscribe", "unsubscribe_all", "unsubscribe-all"]},
    "channel": {"type": "string"},
    "params": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    "since": {"type": "string"}, "snapshot": {"type": "boolean"},
    "deliver": {"enum": ["both", "item", "patch"]},
    "conflate": {"type": "boolean"}, "interval": {"type": "string"},
    "select": {"type": "array", "maxItems": 32, "items": {"type": "string", "format": "json-pointer"}},
    "where": {"type": "object", "maxProperties": 16,
              "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}}})");
}

// Of one declared param.
Json param_schema(const Json& spec) {
  Json schema = {{"type", "string"}};
  for (const char* same : {"description", "enum", "pattern", "default"})
    if (spec.contains(same)) schema[same] = spec[same];
  const auto as_text = [](Json& value) {
    if (!value.is_string()) value = value.dump();
  };
  if (schema.contains("default")) as_text(schema["default"]);
  if (schema.contains("enum"))
    for (Json& one : schema["enum"]) as_text(one);
  // The whole value has to match.
  if (schema.contains("pattern")) schema["pattern"] = "^(?:" + schema["pattern"].get<std::string>() + ")$";
  return schema;
}

const Json& params_of(const Json& fetcher) {
  static const Json none = Json::object();
  return fetcher.contains("params") && fetcher["params"].is_object() ? fetcher["params"] : none;
}

bool is_required(const Json& spec) { return spec.is_object() && spec.value("required", false); }

Json params_schema(const Json& fetcher) {
  Json schema = {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
  for (const auto& [name, spec] : params_of(fetcher).items()) {
    schema["properties"][name] = param_schema(spec);
    if (is_required(spec)) schema["required"].push_back(name);
  }
  return schema;
}

Json fetchers_in(std::string_view catalogue) {
  Json parsed = Json::parse(catalogue, nullptr, false);
  return parsed.is_object() && parsed.contains("fetchers") ? std::move(parsed["fetchers"]) : Json::array();
}

std::string description_of(const Json& fetcher) { return fetcher.value("description", std::string()); }

Json reference(const std::string& to) { return {{"$ref", to}}; }

Json info(const ApiContext& context, const char* description) {
  return {{"title", "restream"}, {"version", context.version}, {"description", description}};
}

Json to_socket(const Json& schemas) {
  Json channel = {{"address", "/channels"},
                  {"title", "WebSocket"},
                  {"description", "Any number of channels over one connection"},
                  {"messages", {{"request", reference("#/components/messages/request")}}}};
  for (const auto& [type, _] : schemas.items()) channel["messages"][type] = reference("#/components/messages/" + type);
  return channel;
}

}  // namespace

std::string asyncapi_document(std::string_view catalogue, const ApiContext& context) {
  const Json schemas = message_schemas();
  const Json socket = socket_schemas();
  Json document = {{"asyncapi", "3.0.0"},
                   {"info", info(context, "What subscribers of this server's channels are told")},
                   {"defaultContentType", "application/json"},
                   {"servers", Json::object()},
                   {"channels", Json::object()},
                   {"operations", Json::object()},
                   {"components", {{"messages", Json::object()}}}};
  const std::string host(context.host.empty() ? "localhost" : context.host);
  document["servers"]["websocket"] = {{"host", host}, {"protocol", context.https ? "wss" : "ws"}};
  document["servers"]["http"] = {{"host", host}, {"protocol", context.https ? "https" : "http"}};

  Json& messages = document["components"]["messages"];
  messages["request"] = {{"name", "request"}, {"payload", request_schema()}};
  for (const auto& [type, schema] : socket.items()) messages[type] = {{"name", type}, {"payload", schema}};

  Json& channels = document["channels"];
  Json& operations = document["operations"];
  channels["websocket"] = to_socket(socket);
  channels["websocket"]["servers"] = {reference("#/servers/websocket")};
  operations["ask"] = {{"action", "receive"},
                       {"channel", reference("#/channels/websocket")},
                       {"messages", {reference("#/channels/websocket/messages/request")}}};
  operations["tell"] = {{"action", "send"}, {"channel", reference("#/channels/websocket")}};
  for (const auto& [type, _] : channels["websocket"]["messages"].items())
    if (type != "request") operations["tell"]["messages"].push_back(reference("#/channels/websocket/messages/" + type));

  for (const Json& fetcher : fetchers_in(catalogue)) {
    const std::string name = fetcher.value("name", std::string());
    const std::string key = "fetcher-" + name;
    Json& channel = channels[key];
    channel = {{"address", "/channels/" + name},
               {"title", name},
               {"description", description_of(fetcher)},
               {"servers", {reference("#/servers/http")}},
               {"messages", Json::object()}};
    if (const std::string url = fetcher.value("doc_url", std::string()); !url.empty())
      channel["externalDocs"] = {{"url", url}};
    Json& operation = operations["stream-" + name];
    operation = {
        {"action", "send"},
        {"channel", reference("#/channels/" + key)},
        {"summary", "Event stream (text/event-stream)"},
        {"bindings", {{"http", {{"method", "GET"}, {"query", params_schema(fetcher)}, {"bindingVersion", "0.3.0"}}}}}};
    for (const auto& [type, _] : schemas.items()) {
      channel["messages"][type] = reference("#/components/messages/" + type);
      operation["messages"].push_back(reference("#/channels/" + key + "/messages/" + type));
    }
  }
  return text_of(document);
}

namespace {

Json answer(const char* description, const Json& schema) {
  Json one = {{"description", description}};
  one["content"]["application/json"]["schema"] = schema;
  return one;
}

Json refused() { return answer("Refused; the code and the message say why", reference("#/components/schemas/error")); }

Json get(const char* summary, const Json& schema) {
  Json operation = {{"summary", summary}, {"responses", {{"200", answer("As asked", schema)}}}};
  operation["responses"]["default"] = refused();
  return operation;
}

// What the daemon's own names in the query of a stream are.
Json stream_options() {
  return parse(R"([
    {"name": "Last-Event-ID", "in": "header", "description": "a position to resume from, as browsers send it",
     "schema": {"type": "string"}},
    {"name": "_since", "in": "query", "description": "a position to resume from", "schema": {"type": "string"}},
    {"name": "_snapshot", "in": "query", "schema": {"type": "boolean", "default": true}},
    {"name": "_deliver", "in": "query", "schema": {"enum": ["both", "item", "patch"], "default": "both"}},
    {"name": "_conflate", "in": "query", "schema": {"type": "boolean", "default": false}},
    {"name": "_interval", "in": "query", "schema": {"type": "string", "examples": ["2s"]}},
    {"name": "_select", "in": "query", "content": {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}}},
    {"name": "_where", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}},
    {"name": "_ticket", "in": "query", "description": "of POST /tickets", "schema": {"type": "string"}}])");
}

}  // namespace

std::string openapi_document(std::string_view catalogue, const ApiContext& context) {
  Json document = {{"openapi", "3.1.0"},
                   {"info", info(context, "The HTTP side of this server")},
                   {"paths", Json::object()},
                   {"components", {{"schemas", message_schemas()}}}};
  if (!context.host.empty())
    document["servers"] = {{{"url", (context.https ? "https://" : "http://") + std::string(context.host)}}};
  document["components"]["securitySchemes"]["token"] = {{"type", "http"}, {"scheme", "bearer"}};
  document["security"] = {Json::object(), {{"token", Json::array()}}};

  Json& paths = document["paths"];
  const Json object = {{"type", "object"}};
  paths["/"]["get"] = {{"summary", "The live viewer, a page"}, {"responses", {{"200", {{"description", "HTML"}}}}}};
  paths["/fetchers"]["get"] = get("The fetchers: what they say of themselves, their health and quota", object);
  paths["/channels"]["get"] = get("The channels that are active", object);
  paths["/livez"]["get"] = get("Whether the server runs", object);
  paths["/readyz"]["get"] = get("Whether it is ready", object);
  paths["/asyncapi.json"]["get"] = get("What subscribers are told, as AsyncAPI", object);
  paths["/openapi.json"]["get"] = get("This document", object);
  paths["/metrics"]["get"] = {{"summary", "Figures for Prometheus"},
                              {"responses", {{"200", {{"description", "Text"}}}}}};
  paths["/tickets"]["post"] = get("A ticket for an event stream, good once within 30 s", object);
  paths["/tickets"]["post"]["responses"].erase("200");
  paths["/tickets"]["post"]["responses"]["201"] = answer(
      "Made",
      parse(R"({"type": "object", "properties": {"ticket": {"type": "string"}, "expires_in": {"type": "integer"}}})"));
  Json& events = paths["/events"]["get"];
  events = {{"summary", "An event stream of several channels"}, {"parameters", stream_options()}};
  events["parameters"].push_back(parse(R"({"name": "channel", "in": "query", "required": true,
    "description": "ids of channels", "explode": true, "schema": {"type": "array", "items": {"type": "string"}}})"));
  events["responses"]["200"]["description"] = "Events";
  events["responses"]["200"]["content"]["text/event-stream"]["schema"] = {{"type", "string"}};
  events["responses"]["default"] = refused();

  for (const Json& fetcher : fetchers_in(catalogue)) {
    const std::string name = fetcher.value("name", std::string());
    Json& operation = paths["/channels/" + name]["get"];
    operation =
        get("The channel's items; an event stream, when that is accepted", reference("#/components/schemas/snapshot"));
    operation["description"] = description_of(fetcher);
    operation["responses"]["200"]["content"]["text/event-stream"]["schema"] = {{"type", "string"}};
    operation["responses"]["304"]["description"] = "Nothing has changed since the ETag in If-None-Match";
    if (const std::string url = fetcher.value("doc_url", std::string()); !url.empty())
      operation["externalDocs"]["url"] = url;
    operation["parameters"] = stream_options();
    for (const auto& [param, spec] : params_of(fetcher).items())
      operation["parameters"].push_back(
          {{"name", param}, {"in", "query"}, {"required", is_required(spec)}, {"schema", param_schema(spec)}});
    paths["/fetchers/" + name]["get"] = get("What the fetcher says of itself, its health and quota", object);
  }
  return text_of(document);
}

}  // namespace restream
