/* The least that a fetcher does, for bench-host: answers at once, or asks the API first when the request says "ask". */
#include <restream/fetcher.h>
#include <string.h>

RESTREAM_EXPORT const restream_fetcher_descriptor restream_fetcher = RESTREAM_FETCHER_DESCRIPTOR_VALUE;

static int32_t emit(const restream_call* call, const char* text) { return call->emit(call, text, strlen(text)); }

int32_t metadata(const restream_call* call) {
  return emit(call,
              "{\"name\": \"bench\", \"description\": \"For bench-host\", \"id_field\": \"id\", "
              "\"api_url\": \"http://127.0.0.1:9/\", \"doc_url\": \"https://example.com/\", \"keys\": [], "
              "\"poll_interval\": 1}");
}

int32_t fetch(const restream_call* call) {
  static const char url[] = "http://127.0.0.1:9/items";
  restream_http_request request;
  restream_http_response response;
  if (call->request.size != 3 || memcmp(call->request.data, "ask", 3) != 0)
    return emit(call, "{\"status_code\": 200, \"result\": []}");
  memset(&request, 0, sizeof request);
  memset(&response, 0, sizeof response);
  request.size = sizeof request;
  request.url.data = url;
  request.url.size = sizeof url - 1;
  response.size = sizeof response;
  if (call->http(call, &request, &response) != RESTREAM_OK) return RESTREAM_FAILED;
  emit(call, "{\"status_code\": 200, \"result\": ");
  call->emit(call, response.body.data, response.body.size);
  return emit(call, "}");
}
