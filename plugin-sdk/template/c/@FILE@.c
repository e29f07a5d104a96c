/* @NAME@: what it fetches, in one line. Replace the API by yours; `restream-plugin check` tells what is still amiss. */
#include <restream/fetcher.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;

static int32_t emit(const restream_call *call, const char *text) { return call->emit(call, text, strlen(text)); }

int32_t metadata(const restream_call *call) {
  return emit(call,
              "{\"name\": \"@NAME@\","
              " \"description\": \"Things of one topic\","
              " \"version\": \"0.1.0\","
              " \"id_field\": \"id\","
              " \"api_url\": \"https://api.example.com/things\","
              " \"doc_url\": \"https://example.com/docs\","
              " \"keys\": [],"
              " \"poll_interval\": 60,"
              " \"params\": {\"topic\": {\"default\": \"all\", \"pattern\": \"[a-z0-9-]+\","
              "                        \"description\": \"what the things are about\"}},"
              " \"example_params\": {\"topic\": \"rockets\"}}");
}

int32_t fetch(const restream_call *call) {
  char url[512] = "https://api.example.com/things?topic=";
  const restream_text topic = json_member(json_member(call->request, "params"), "topic");
  if (!json_append_encoded(topic, url, sizeof url)) return RESTREAM_BAD_REQUEST;

  const restream_http_request request = {.size = sizeof request, .url = {url, strlen(url)}};
  restream_http_response answer = {.size = sizeof answer};
  const int32_t code = call->http(call, &request, &answer);
  if (code != RESTREAM_OK) return code; /* the daemon knows what happened */
  if (answer.status != 200) { /* its own status: 401 tells the operator to look at the key, 429 makes restream wait */
    char failure[128];
    snprintf(failure, sizeof failure, "{\"status_code\": %d, \"result\": \"the API answered with status %d\"}",
             (int)(answer.status < 400 ? 502 : answer.status), (int)answer.status);
    return emit(call, failure);
  }

  /* {"things": [{"id": …}, …]}: the list is handed on in the very bytes that came. */
  const restream_text items = json_member(answer.body, "things");
  if (!json_is_list(items)) return RESTREAM_FAILED;
  if (emit(call, "{\"status_code\": 200, \"result\": ") != RESTREAM_OK) return RESTREAM_TOO_LARGE;
  if (call->emit(call, items.data, items.size) != RESTREAM_OK) return RESTREAM_TOO_LARGE;
  return emit(call, "}");
}
