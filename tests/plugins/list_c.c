/* A list of a test server, like `list`, in C: what the header alone is good for. */
#include <restream/fetcher.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;

static int32_t emit(const restream_call *call, const char *text) { return call->emit(call, text, strlen(text)); }

int32_t metadata(const restream_call *call) {
  return emit(call,
              "{\"name\": \"list-c\", \"description\": \"A list of a test server, in C\", \"id_field\": \"id\","
              " \"api_url\": \"http://127.0.0.1:9/list/{}\", \"doc_url\": \"https://example.com/lists\", \"keys\": [],"
              " \"poll_interval\": 1, \"complete\": true,"
              " \"params\": {\"name\": {\"required\": true, \"pattern\": \"[A-Za-z0-9_-]+\"}},"
              " \"example_params\": {\"name\": \"a\"}}");
}

int32_t fetch(const restream_call *call) {
  char url[512] = "http://127.0.0.1:9/list/";
  const restream_text name = json_member(json_member(call->request, "params"), "name");
  if (!json_append_encoded(name, url, sizeof url)) return RESTREAM_BAD_REQUEST;

  const restream_http_request request = {.size = sizeof request, .url = {url, strlen(url)}};
  restream_http_response answer = {.size = sizeof answer};
  const int32_t code = call->http(call, &request, &answer);
  if (code != RESTREAM_OK) return code;
  if (answer.status != 200) {
    char failure[128];
    snprintf(failure, sizeof failure, "{\"status_code\": %d, \"result\": \"the API answered with status %d\"}",
             (int)(answer.status < 400 ? 502 : answer.status), (int)answer.status);
    return emit(call, failure);
  }
  const restream_text items = json_member(answer.body, "items");
  if (!json_is_list(items)) return RESTREAM_FAILED;
  if (emit(call, "{\"status_code\": 200, \"result\": ") != RESTREAM_OK) return RESTREAM_TOO_LARGE;
  if (call->emit(call, items.data, items.size) != RESTREAM_OK) return RESTREAM_TOO_LARGE;
  return emit(call, "}");
}
